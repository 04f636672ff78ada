"""The guide of the first cluster, command by command, on its own bare bench, with a check of each promise."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.config import Config
from tests.bench.real import ROOT, Bench, condition, until

from vellum.kube.objects import KEPT, Obj, make, secret_values

GUIDE = (ROOT / "docs/guides/first-cluster.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", GUIDE, re.MULTILINE))
FILES = ("examples/bench/platform.yaml", "examples/01-team/claim.yaml")
FUNCTION = ("--function", "bench.invalid/function-vellum:v0")
ARTIFACTS = "mlpipeline-minio-artifact"  # a name
OBJECT = {"Bucket": "vellum-artifacts", "Key": "kept.txt"}
READS = ("selfsubjectaccessreviews",)


class Reader:
    """A user who follows the guide: one shell environment, and the commands of one section at a time."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        path = f"{Path(bench.program).parent}:{os.environ['PATH']}"
        self.environment = {
            "PATH": path,
            "HOME": str(bench.root),
            "KUBECONFIG": bench.kubeconfig,
            "VELLUM_BENCH": str(bench.root),
        }

    def follows(self, section: str) -> list[str]:
        """Run the section's commands, all of which must succeed, and return what they print."""
        return [self._run(command) for command in commands(section)]

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}\n{self.explained()}"
        return done.stdout

    def explained(self) -> str:
        return self.bench.kubectl("get", "kubeflowplatform,mlopsplatform", "-A", "-o", "yaml", check=False)[-6000:]

    def vellum(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "vellum.cli", *arguments, "--kubeconfig", self.bench.kubeconfig]
        done = subprocess.run(
            argv, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=900, check=False
        )
        assert not check or done.returncode == 0, f"{arguments}\n{done.stdout}{done.stderr}\n{self.explained()}"
        return done

    def killed(self, *arguments: str, after: str) -> None:
        """Run a command, and send SIGKILL once it prints a given text."""
        argv = [sys.executable, "-m", "vellum.cli", *arguments, "--kubeconfig", self.bench.kubeconfig]
        with subprocess.Popen(
            argv, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as running:
            assert running.stderr is not None
            messages = []
            for line in running.stderr:
                messages.append(line)
                if after in line:
                    running.send_signal(signal.SIGKILL)
                    break
            assert running.wait(60) == -signal.SIGKILL, "".join(messages)

    def refused(self, *arguments: str) -> str:
        done = self.vellum(*arguments, check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def planned(self) -> list[Obj]:
        done = self.vellum("install", *FILES, *FUNCTION, "--dry-run", "--output", "json")
        return list(json.loads(done.stdout)["changes"])

    def audited(self) -> list[tuple[str, str, str]]:
        """The changes of ``vellum`` in the API server's audit log: verb, plural or path, name."""
        log = self.bench.root / "data/bench/apiserver/audit.log"
        results = []
        for line in log.read_text().splitlines():
            event = json.loads(line)
            what = event["objectRef"]
            mine = event.get("userAgent", "").startswith("vellum/") and event["stage"] == "ResponseComplete"
            done = event["responseStatus"]["code"] < 300
            if mine and done and "dryRun" not in event["requestURI"] and what["resource"] not in READS:
                results.append((event["verb"], what.get("namespace", ""), what.get("name", "")))
        return results

    def s3(self) -> Any:
        held = self.bench.get("secret", ARTIFACTS, "kubeflow")
        assert held is not None
        keys = secret_values(held)
        return boto3.client(
            "s3",
            endpoint_url=self.bench.s3,
            aws_access_key_id=keys["accesskey"],
            aws_secret_access_key=keys["secretkey"],
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )


def commands(section: str) -> list[str]:
    fences = re.findall(r"^```console\n(.*?)^```", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return [line[2:] for fence in fences for line in fence.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    root = Path(tempfile.mkdtemp(prefix="vellum-first-"))
    empty = Bench(root)
    assert commands("A cluster with Crossplane") == [".venv/bin/vellum bench up --bare"]
    try:
        result = json.loads(empty.vellum("up", "--bare", "--output", "json").stdout)
        yield Reader(Bench(root, result["kubeconfig"], result["kubectl"], result["s3"]))
    finally:
        empty.vellum("down", check=False)
        shutil.rmtree(root, ignore_errors=True)


def strangers() -> list[Obj]:
    """Return cluster-scoped objects of others: two conflict with our charts, one does not."""
    helm = {"app.kubernetes.io/managed-by": "Helm", "stranger": "yes"}
    marks = {"meta.helm.sh/release-name": "mesh", "meta.helm.sh/release-namespace": "mesh-system"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    names = {"kind": "VirtualService", "plural": "virtualservices"}
    kind = {
        "group": "networking.istio.io",
        "names": names,
        "scope": "Namespaced",
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    return [
        make(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "virtualservices.networking.istio.io",
            labels=helm,
            annotations=marks,
            spec=kind,
        ),
        make(
            "rbac.authorization.k8s.io/v1", "ClusterRole", "kserve-manager-role", labels={"stranger": "yes"}, rules=[]
        ),
        make("scheduling.k8s.io/v1", "PriorityClass", "theirs", labels=helm, annotations=marks, value=1),
    ]


def external_platform(folder: Path) -> Path:
    """Write the bench's platform with an external store, and without the store's image."""
    platform = yaml.safe_load((ROOT / FILES[0]).read_text())
    platform["spec"]["objectStore"] = {"backend": "external", "endpoint": "https://s3.example.org"}
    del platform["spec"]["images"]["seaweedfs"]
    (folder / "platform.yaml").write_text(yaml.safe_dump(platform))
    return folder / "platform.yaml"


def test_an_unsuitable_cluster_is_refused_with_a_fix(reader: Reader, tmp_path: Path) -> None:
    """Proves: a cluster that cannot run the platform is refused, with the fix."""
    bench = reader.bench
    default = "storageclass.kubernetes.io/is-default-class"
    bench.kubectl("create", "namespace", "kserve")
    bench.kubectl("annotate", "storageclass", "bench", f"{default}-")
    bench.kubectl("delete", "deployment", "crossplane", "-n", "crossplane-system")
    bench.apply(*strangers())
    before = reader.audited()

    output = reader.refused("install", *FILES)
    external = reader.refused("install", str(external_platform(tmp_path)), FILES[1])

    bench.kubectl("annotate", "storageclass", "bench", f"{default}=true")
    bench.kubectl("delete", "namespace", "kserve")
    bench.kubectl("delete", "crd,clusterrole,priorityclass", "-l", "stranger=yes")
    bench.apply(crossplane())
    assert "VEL723" in output
    assert "cannot take the platform yet: crossplane, storage, function, namespaces, strangers" in output
    held = "Helm release mesh in namespace mesh-system holds what istio-base would make"
    assert f"{held}: CustomResourceDefinition virtualservices.networking.istio.io" in output
    assert "helm uninstall mesh --namespace mesh-system" in output
    assert "an object that kserve would make is foreign: ClusterRole kserve-manager-role" in output
    assert "PriorityClass" not in output
    assert "spec.charts.own names no registry" in output
    assert "Secret vellum-storage/s3-artifacts does not exist" in external
    assert "Secret vellum-storage/s3-default-team-a-c25esaspfur2 does not exist" in external
    assert "seaweedfs" not in external
    assert "helm upgrade --install crossplane crossplane --repo" in output
    assert "these are foreign: kserve;" in output
    assert reader.audited() == before


def test_no_seed_is_drawn_beside_what_an_uninstallation_kept(reader: Reader) -> None:
    bench = reader.bench
    bench.kubectl("create", "namespace", "vellum-storage")
    bench.kubectl("annotate", "namespace", "vellum-storage", f"{KEPT}=true")

    output = reader.refused("install", *FILES, *FUNCTION, "--dry-run")

    bench.kubectl("delete", "namespace", "vellum-storage")
    assert "VEL310: the seed is gone, and all keys of what an uninstallation kept in vellum-storage derive" in output


JOB_SET = "jobsets.jobset.x-k8s.io"
DEPENDENT = (
    "apiservice/",
    "clusterrole/crossplane:composite:",
    "providerconfigusage/",
    "secret/function-vellum-tls-server",
    "statefulset/notebook",
)
"""What other controllers keep beside a planned object and remove with it: the API server's entry of a kind,
rbac-manager's roles for it, provider-helm's note that a Release uses its configuration, the certificate of the
function, and the workload of a Notebook."""


def test_the_guide_of_the_first_cluster_is_what_happens(reader: Reader) -> None:
    """Proves: `vellum install` and `vellum uninstall` do what the guide says, even if killed; only data is left."""
    bench = reader.bench
    reader.follows("Look before you install")
    planned, audited = reader.planned(), len(reader.audited())

    reader.killed("install", *FILES, *FUNCTION, after="30-function")
    reader.follows("Install")

    verbs = {"Secret": "create"}
    expected = [(verbs.get(item["kind"], "patch"), item["namespace"], item["name"]) for item in planned]

    def as_planned() -> bool:
        # The log is written after the answer, and a request that SIGKILL interrupted may be done without an answer.
        written = reader.audited()[audited:]
        return written in (expected, [item for item in expected if item[2] != "function-vellum"])

    until(as_planned, 10, lambda: f"{expected}\n{reader.audited()[audited:]}")
    assert reader.planned() == []

    reader.follows("Look around")
    reader.follows("Break it")
    until(lambda: bench.get("deployment", "kserve-controller-manager", "kserve"), 60, reader.explained)
    until(lambda: ready(bench), 90, reader.explained)

    before = secret_values(bench.get("secret", ARTIFACTS, "kubeflow") or {})
    reader.follows("Change the keys")
    after = secret_values(bench.get("secret", ARTIFACTS, "kubeflow") or {})
    assert before["accesskey"] != after["accesskey"]

    reader.s3().put_object(**OBJECT, Body=b"earlier")
    assert "VEL724" in reader.refused("uninstall", "--yes")
    there = marked(bench)
    plan = json.loads(reader.vellum("uninstall", "--dry-run", "--output", "json").stdout)
    going = {f"{obj['kind'].lower()}/{obj['name']}" for stage in plan["stages"] for obj in stage["objects"]}
    staying = {f"{item['kind'].lower()}/{item['name']}" for item in plan["stays"]}
    # Before and after, as the old keys may go in between: their overlap ends about now.
    unplanned = (there & marked(bench)) - (going | staying)
    assert {name for name in unplanned if not name.startswith(DEPENDENT)} == set()
    assert "persistentvolumeclaim/notebook-workspace" in going
    assert {"provider/provider-helm", f"customresourcedefinition/{JOB_SET}"} < going
    reader.killed("uninstall", "--with-claims", "--yes", after="artifacts")
    reader.follows("Uninstall")

    assert {"namespace/kserve", "customresourcedefinition/workflows.argoproj.io", "release/istiod"} < going
    # The garbage collector deletes Crossplane's objects a little later.
    until(lambda: marked(bench).isdisjoint(going), 60, lambda: str(marked(bench) & going))
    until(lambda: len(marked(bench)) <= 7, 60, lambda: str(marked(bench)))
    assert marked(bench) == {
        "namespace/kubeflow",
        "namespace/vellum-storage",
        "namespace/vellum-vectors",
        "persistentvolumeclaim/mysql-pv-claim",
        "secret/mysql-secret",
        "secret/vellum-seed",
        "persistentvolumeclaim/data-qdrant-default-team-a-c25esaspfur2-0",
    }
    assert (marked(bench), bench.get("crd", JOB_SET)) == (staying, None)

    reader.follows("Install again")
    again = secret_values(bench.get("secret", ARTIFACTS, "kubeflow") or {})
    assert again["accesskey"] == after["accesskey"]
    team = bench.team("team-a")
    assert marked_generation(bench.get("secret", "vellum-binding", team.namespace)) == "2"
    assert reader.s3().get_object(**OBJECT)["Body"].read() == b"earlier"

    gone = json.loads(reader.vellum("uninstall", "--with-claims", "--delete-data", "--yes", "--output", "json").stdout)
    assert (gone["left"], gone["kept"]) == ([], [])
    assert gone["kinds"] > 60
    until(lambda: not marked(bench), 60, lambda: str(marked(bench)))
    assert commands("Delete the data")[1:] == [".venv/bin/vellum bench down"]


def marked_generation(obj: Obj | None) -> str:
    assert obj is not None
    return str(obj["metadata"]["annotations"]["platform.vellum.dev/key-generation"])


def ready(bench: Bench) -> bool:
    return condition(bench.get("kubeflowplatform", "kubeflow"), "Ready").get("status") == "True"


def crossplane() -> Obj:
    """Return the Deployment that a test removes for a while."""
    labels = {"app": "crossplane"}
    container = {
        "name": "crossplane",
        "image": "bench.invalid/crossplane:v2.3.4",
        "args": ["--circuit-breaker-burst=1000"],
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "crossplane", "namespace": "crossplane-system"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def marked(bench: Bench) -> set[str]:
    """Everything on the API server that names Vellum or one of its releases, found by other means than Vellum's."""
    kinds = bench.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    result = json.loads(bench.kubectl("get", ",".join(kinds), "-A", "-o", "json"))["items"]
    words = re.compile(r"vellum|meta\.helm\.sh/release-name|helm\.sh/release\.v1")
    return {
        f"{item['kind'].lower()}/{item['metadata']['name']}"
        for item in result
        if item["kind"] not in ("Event", "Pod", "PersistentVolume", "FunctionRevision") and words.search(plain(item))
    }


def plain(obj: Obj) -> str:
    """Name, marks, owners and type, without the namespace: Kubernetes adds objects to every kept namespace."""
    messages = [
        obj["metadata"].get(name) for name in ("name", "labels", "annotations", "finalizers", "ownerReferences")
    ]
    return (
        ""
        if obj["metadata"]["name"].startswith("bench")
        else json.dumps([*messages, obj["apiVersion"], obj.get("type")])
    )
