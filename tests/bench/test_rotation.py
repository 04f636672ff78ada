"""Keys that are replaced on the real Crossplane: the same order as on a laptop, pods rolled by Kubernetes itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.bench.real import CLAIM, Bench, claim, until
from tests.bench.test_life import secret_of

from vellum.kube.objects import Obj
from vellum.model.rotation import GENERATION

VECTORS, KUBEFLOW, STORE_SECRET = "vellum-vectors", "kubeflow", "mlpipeline-minio-artifact"
USABLE_SECONDS, REFUSED_SECONDS = 5.0, 2.0


def rotate(bench: Bench, what: str, *more: str) -> Obj:
    argv = [sys.executable, "-m", "vellum.cli", "rotate", what, "--overlap", "20s", "--kubeconfig", bench.kubeconfig,
            "--output", "json", *more]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VELLUM_")}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def opens(bench: Bench, keys: dict[str, str], bucket: str) -> bool:
    store = boto3.client(
        "s3", endpoint_url=bench.s3, region_name="us-east-1", aws_access_key_id=keys["accesskey"],
        aws_secret_access_key=keys["secretkey"], config=Config(retries={"max_attempts": 1}),
    )  # fmt: skip
    try:
        store.put_object(Bucket=bucket, Key="kept.txt", Body=b"kept")
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidAccessKeyId":
            raise
        return False
    return True


def replaced(bench: Bench, namespace: str, bucket: str, what: str) -> tuple[dict[str, str], float, float]:
    """Rotate; return the new key, and the seconds until it worked and until the old one was refused."""
    old = secret_of(bench, STORE_SECRET, namespace)
    assert opens(bench, old, bucket)
    began = time.time()
    rotate(bench, what)
    until(lambda: secret_of(bench, STORE_SECRET, namespace)["accesskey"] != old["accesskey"], 20)
    usable = time.time() - began
    new = secret_of(bench, STORE_SECRET, namespace)
    assert opens(bench, new, bucket)
    assert opens(bench, old, bucket)
    end = datetime.fromisoformat(keys(bench, what)["previous"][0]["until"]).timestamp()
    until(lambda: not opens(bench, old, bucket), 40, lambda: json.dumps(keys(bench, what)))
    refused = time.time() - end
    assert opens(bench, new, bucket)
    return new, usable, refused


def keys(bench: Bench, what: str) -> Any:
    kind, namespace = ("kubeflowplatform", "") if what == "platform" else (CLAIM, "default")
    found = bench.get(kind, "kubeflow" if what == "platform" else what, namespace)
    return (found or {})["status"]["keys"]


def test_a_team_moves_to_a_new_key_and_the_old_one_is_refused(bench: Bench) -> None:
    team = bench.claim("turns", notebooks="enabled")
    pod = bench.get("pod", f"{team.qdrant}-0", VECTORS) or {}

    new, usable, refused = replaced(bench, team.namespace, team.bucket, "turns")

    print(f"usable after {usable:.2f} s, refused {refused:.2f} s after the overlap")
    assert usable < USABLE_SECONDS
    assert 0 <= refused < REFUSED_SECONDS
    until(lambda: keys(bench, "turns") == {"generation": 2, "removed": 1}, 20)
    bench.ready("turns")
    binding = secret_of(bench, "vellum-binding", team.namespace)
    assert binding["AWS_ACCESS_KEY_ID"] == new["accesskey"]
    database = bench.get("pod", f"{team.qdrant}-0", VECTORS) or {}
    assert database["metadata"]["uid"] != pod["metadata"]["uid"]
    assert binding["QDRANT_API_KEY"] == secret_of(bench, team.qdrant, VECTORS)["api-key"]
    for kind, name, where in (
        ("statefulset", team.qdrant, VECTORS), ("deployment", "search-predictor", team.namespace),
    ):  # fmt: skip
        workload = bench.get(kind, name, where) or {}
        assert workload["spec"]["template"]["metadata"]["annotations"][GENERATION] == "2"
    notebook = bench.get("notebook", "notebook", team.namespace) or {}
    (container,) = notebook["spec"]["template"]["spec"]["containers"]
    assert {"name": "VELLUM_KEY_GENERATION", "value": "2"} in container["env"]

    said = bench.apply(claim("turns", notebooks="enabled", keys={"generation": 1}), check=False)
    assert "generation only goes up" in said
    bench.delete("turns")


def test_pipelines_move_to_the_platforms_new_key(bench: Bench) -> None:
    values = ("spec", "forProvider", "values", "objectStore", "generation")

    def rolls_at() -> str:
        found: Any = bench.get("release", "kubeflow-pipelines")
        for step in values:
            found = found[step]
        return str(found)

    before = rolls_at()
    new, usable, refused = replaced(bench, KUBEFLOW, "vellum-artifacts", "platform")
    print(f"usable after {usable:.2f} s, refused {refused:.2f} s after the overlap")
    assert usable < USABLE_SECONDS
    assert 0 <= refused < REFUSED_SECONDS
    assert rolls_at() != before
    assert secret_of(bench, STORE_SECRET, KUBEFLOW) == new
    bench.kubectl("wait", "kubeflowplatform/kubeflow", "--for=condition=Ready", "--timeout=120s")
