"""Keys that are replaced on the real Crossplane: the same order as on a laptop, pods rolled by Kubernetes itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.bench.real import CLAIM, Bench, until
from tests.bench.test_life import secret_of

from vellum.kube.objects import Obj
from vellum.model.rotation import GENERATION

VECTORS, KUBEFLOW, ARTIFACTS = "vellum-vectors", "kubeflow", "vellum-artifacts"
STORE_SECRET = "mlpipeline-minio-artifact"  # a name


def rotate(bench: Bench, what: str, *more: str) -> Obj:
    argv = [
        sys.executable,
        "-m",
        "vellum.cli",
        "rotate",
        what,
        "--overlap",
        "30s",
        "--kubeconfig",
        bench.kubeconfig,
        "--output",
        "json",
        *more,
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VELLUM_")}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def opens(bench: Bench, keys: dict[str, str], bucket: str) -> bool:
    store = boto3.client(
        "s3",
        endpoint_url=bench.s3,
        region_name="us-east-1",
        aws_access_key_id=keys["accesskey"],
        aws_secret_access_key=keys["secretkey"],
        config=Config(retries={"max_attempts": 1}),
    )
    try:
        store.put_object(Bucket=bucket, Key="kept.txt", Body=b"kept")
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidAccessKeyId":
            raise
        return False
    return True


@dataclass
class Turn:
    """One rotation: the keys before and after, from the Secret that the reader mounts."""

    bench: Bench
    what: str
    namespace: str
    bucket: str
    old: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    end: float = 0

    def begin(self) -> None:
        self.old = self.read()
        assert opens(self.bench, self.old, self.bucket)
        assert rotate(self.bench, self.what)["generation"] == 2

    def read(self) -> dict[str, str]:
        return secret_of(self.bench, STORE_SECRET, self.namespace)

    def keys(self) -> Any:
        kind, name, where = (CLAIM, self.what, "default")
        if self.what == "platform":
            kind, name, where = "kubeflowplatform", "kubeflow", ""
        return (self.bench.get(kind, name, where) or {})["status"]["keys"]

    def both_work(self) -> None:
        until(lambda: self.read()["accesskey"] != self.old["accesskey"], 60, lambda: str(self.keys()))
        self.new = self.read()
        # The claim's status follows its composite's, a little after the Secret.
        until(lambda: self.keys().get("previous"), 20, lambda: str(self.keys()))
        (previous,) = self.keys()["previous"]
        self.end = datetime.fromisoformat(previous["until"]).timestamp()
        assert opens(self.bench, self.new, self.bucket)
        assert opens(self.bench, self.old, self.bucket)

    def the_old_one_is_refused(self) -> None:
        until(lambda: not opens(self.bench, self.old, self.bucket), 90, lambda: str(self.keys()))
        assert time.time() >= self.end
        assert opens(self.bench, self.new, self.bucket)
        until(lambda: self.keys() == {"generation": 2, "removed": 1}, 30, lambda: str(self.keys()))


def pipelines_roll_at(bench: Bench) -> str:
    release = bench.get("release", "kubeflow-pipelines") or {}
    return str(release["spec"]["forProvider"]["values"]["objectStore"]["generation"])


def test_a_team_and_the_platform_move_to_new_keys(bench: Bench) -> None:
    """Proves: new keys work beside the old ones, which are refused once the overlap ends; Pipelines too."""
    team = bench.claim("turns", notebooks="enabled")
    pod, rolled = bench.get("pod", f"{team.qdrant}-0", VECTORS) or {}, pipelines_roll_at(bench)
    turns = Turn(bench, "turns", team.namespace, team.bucket), Turn(bench, "platform", KUBEFLOW, ARTIFACTS)

    for turn in turns:
        turn.begin()
    for turn in turns:
        turn.both_work()
    for turn in turns:
        turn.the_old_one_is_refused()

    bench.ready("turns")
    binding = secret_of(bench, "vellum-binding", team.namespace)
    assert binding["AWS_ACCESS_KEY_ID"] == turns[0].new["accesskey"]
    database = bench.get("pod", f"{team.qdrant}-0", VECTORS) or {}
    assert database["metadata"]["uid"] != pod["metadata"]["uid"]
    assert binding["QDRANT_API_KEY"] == secret_of(bench, team.qdrant, VECTORS)["api-key"]
    for kind, name, where in (
        ("statefulset", team.qdrant, VECTORS),
        ("deployment", "search-predictor", team.namespace),
    ):
        workload = bench.get(kind, name, where) or {}
        assert workload["spec"]["template"]["metadata"]["annotations"][GENERATION] == "2"
    notebook = bench.get("notebook", "notebook", team.namespace) or {}
    (container,) = notebook["spec"]["template"]["spec"]["containers"]
    assert {"name": "VELLUM_KEY_GENERATION", "value": "2"} in container["env"]
    assert pipelines_roll_at(bench) != rolled
    bench.kubectl("wait", "kubeflowplatform/kubeflow", "--for=condition=Ready", "--timeout=120s")

    lower = json.dumps({"spec": {"keys": {"generation": 1}}})
    output = bench.kubectl("patch", CLAIM, "turns", "--type=merge", "-p", lower, check=False)
    assert "generation only goes up" in output
    bench.delete("turns")
