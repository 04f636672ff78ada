"""From ingested PDFs to a model that answers: the example's own files, on the real services."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.platform.harness import ROOT, Installation, wait_for

from vellum.connect import Binding

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(240)]
EXAMPLE = ROOT / "examples/training"
LIBRARY = ROOT / "examples/library/pdf"
FILES = [str(EXAMPLE / name) for name in ("trainjob.yaml", "serve.yaml")]
KEY = "models/documents.skops"
SLEEPS = """\
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: sleeps}
spec:
  runtimeRef: {name: vellum}
  suspend: %s
  trainer: {command: [python, -c, "print('begins', flush=True); import time; time.sleep(600)"]}
"""


@pytest.fixture(scope="module")
def team(platform: Installation) -> Iterator[Binding]:
    """Return the binding of a team that has ingested, and leave it without."""
    platform.run("ingest", str(LIBRARY), "--team", "team-a")
    binding = Binding.of(platform.binding("team-a"), "a test")
    yield binding
    delete(binding, "")
    with closing(binding.qdrant()) as vectors:
        vectors.delete_collection("passages")


def delete(binding: Binding, prefix: str) -> None:
    store = binding.s3()
    for content in store.list_objects_v2(Bucket=binding.VELLUM_BUCKET, Prefix=prefix).get("Contents", ()):
        store.delete_object(Bucket=binding.VELLUM_BUCKET, Key=content["Key"])


def made(platform: Installation, name: str) -> dict[str, Any]:
    """Return the objects that users made under a name, by kind."""
    return {obj["kind"]: obj for obj in platform.status()["made"] if obj["metadata"]["name"] == name}


def conditions(obj: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in (obj.get("status") or {}).get("conditions", ())}


def post(url: str, body: Any) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def passage(binding: Binding) -> tuple[str, str]:
    """Return the text of an ingested passage and the document that it is of."""
    with closing(binding.qdrant()) as vectors:
        points, _ = vectors.scroll("passages", limit=1, with_payload=["text", "document"])
    payload = points[0].payload or {}
    return payload["text"], payload["document"]


def test_what_was_ingested_is_trained_on_stored_served_and_removed(platform: Installation, team: Binding) -> None:
    """Proves: a `TrainJob` trains on ingested documents, and KServe serves its model."""
    platform.run("apply", *FILES, "--team", "team-a")
    wait_for(lambda: "Complete" in conditions(made(platform, "documents")["TrainJob"]), 90)
    lines = platform.run("logs", "train-documents").stdout.splitlines()
    # Lines of the supervisor stand around those of the job where it was tried more than once.
    report = json.loads(next(line for line in reversed(lines) if line.startswith("{")))
    assert (report["documents"], report["model"]) == (11, KEY)
    assert report["heldOutAccuracy"] >= 0.8
    stored = team.s3().get_object(Bucket=team.VELLUM_BUCKET, Key=f"{KEY}.json")["Body"].read()
    assert json.loads(stored) == report

    wait_for(lambda: conditions(made(platform, "documents")["InferenceService"]).get("Ready") == "True", 90)
    url = made(platform, "documents")["InferenceService"]["status"]["url"]
    server = Path(f"/proc/{platform.process('model-documents')['pid']}")
    given = dict(word.partition("=")[::2] for word in (server / "environ").read_text().split("\0"))
    binding = team.as_env()
    assert {name: given.get(name) for name in binding} == binding
    assert binding["AWS_SECRET_ACCESS_KEY"] not in (server / "cmdline").read_text()
    text, document = passage(team)
    tensor = {"name": "input", "shape": [1], "datatype": "BYTES", "data": [text]}
    first = post(f"{url}v1/models/documents:predict", {"instances": [text]})
    second = post(f"{url}v2/models/documents/infer", {"inputs": [tensor]})
    assert first == {"predictions": [document]}
    assert [output["data"] for output in second["outputs"] if output["name"] == "label"] == [[document]]
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{url}v2/models/documents/infer", {"inputs": [tensor | {"shape": [2]}]})
    assert (refused.value.code, "its shape [2] needs 2" in refused.value.read().decode()) == (400, True)

    again = platform.run("apply", *FILES, "--team", "team-a").stdout
    assert "TrainJob documents: stored (generation 1)" in again
    platform.run("delete", "team-a", "--yes", *(word for file in FILES for word in ("--file", file)))
    assert made(platform, "documents") == {}
    assert not [name for name in platform.processes() if "documents" in name]


def test_a_job_outlives_a_killed_supervisor_is_suspended_and_deleted(platform: Installation, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(SLEEPS % "false")
    platform.run("apply", str(file), "--team", "team-a")
    before = wait_for(lambda: started(platform))
    os.kill(platform.supervisor(), signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{before}").exists())
    platform.run("up")
    after = wait_for(lambda: started(platform))
    events = platform.json("status", "--events")["events"]
    told = [event["message"] for event in events if event["reason"] == "Interrupted"]
    assert after != before
    assert told == ["the supervisor was ended while it ran; 1 of 4 tries failed"]

    file.write_text(SLEEPS % "true")
    platform.run("apply", str(file), "--team", "team-a")
    wait_for(lambda: conditions(made(platform, "sleeps")["TrainJob"]).get("Suspended") == "True")
    assert not Path(f"/proc/{after}").exists()
    assert "begins" in platform.run("logs", "train-sleeps").stdout

    file.write_text(SLEEPS.replace("sleep(600)", "sleep(1)") % "false")
    refused = platform.run("apply", str(file), "--team", "team-a", check=False)
    assert "VEL415: spec.trainer of a TrainJob cannot change" in refused.stderr
    platform.run("delete", "team-a", "--yes", "--file", str(file))
    assert made(platform, "sleeps") == {}


WAITS = """\
apiVersion: trainer.kubeflow.org/v1alpha1
kind: TrainJob
metadata: {name: waits}
spec:
  runtimeRef: {name: vellum}
  trainer: {command: [python], env: [{name: A, valueFrom: {secretKeyRef: {name: absent, key: password}}}]}
---
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: waits}
spec: {predictor: {model: {modelFormat: {name: skops}, runtime: vellum-skops, args: [--model=models/absent.skops]}}}
"""


def test_what_waits_says_for_what(platform: Installation, tmp_path: Path) -> None:
    """The status names a missing Secret and a missing model, without further events."""
    file = tmp_path / "waits.yaml"
    file.write_text(WAITS)
    platform.run("apply", str(file), "--team", "team-a")
    wait_for(lambda: "models/absent.skops is not in the bucket yet" in status(platform), 60)
    assert "the Secret absent with a key password does not exist in the namespace default-team-a" in status(platform)
    events = [event for event in platform.json("status", "--events")["events"] if event["name"] == "waits"]
    assert sum(event["count"] for event in events if event["kind"] == "TrainJob") <= 4
    platform.run("delete", "team-a", "--yes", "--file", str(file))


def status(platform: Installation) -> str:
    return platform.run("status", check=False).stdout


def started(platform: Installation) -> int:
    """Return the pid of the job's process once it runs."""
    results = [item for name, item in platform.processes().items() if name.startswith("train-sleeps")]
    return int(results[0]["pid"]) if results and results[0]["ready"] else 0


@pytest.mark.parametrize(
    ("team", "words"),
    [
        ("team-b", "VEL413: TrainJobs are not for default/team-b: its claim does not say training: enabled"),
        ("team-c", "VEL704: claim 'team-c' does not exist"),
    ],
)
def test_a_team_that_may_not_train_is_refused(platform: Installation, tmp_path: Path, team: str, words: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(SLEEPS % "false")
    refused = platform.run("apply", str(file), "--team", team, check=False)
    assert (refused.returncode, words in refused.stderr) == (1, True)
