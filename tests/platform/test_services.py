"""The services of one claim, used by common clients without changes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from qdrant_client import QdrantClient, models
from tests.platform.harness import ROOT, Installation, wait_for

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(240)]


def s3(binding: dict[str, str], **other: str) -> Any:
    values = {**binding, **other}
    return boto3.client(
        "s3",
        endpoint_url=values["AWS_ENDPOINT_URL"],
        region_name=values["AWS_REGION"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        config=Config(signature_version="s3v4", retries={"max_attempts": 1}),
    )


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**arguments)
    return str(error.value.response["Error"]["Code"])


def post(url: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_one_claim_is_ready_and_says_where_everything_is(platform: Installation) -> None:
    """Proves: one claim becomes ready and reports every address."""
    status = platform.status()
    claim = next(obj for obj in status["objects"] if obj["metadata"]["name"] == "team-a")

    assert status["ready"]
    assert sorted(claim["status"]["endpoints"]) == ["bucket", "notebook", "qdrant", "s3", "search"]
    assert [part["name"] for part in claim["status"]["components"] if not part["ready"]] == []


def test_export_gives_shell_lines_that_any_s3_client_understands(platform: Installation) -> None:
    lines = platform.run("connect", "team-a", "--export").stdout
    shown = subprocess.run(
        ["bash", "-c", f"{lines}\nenv -0"], capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    exported = dict(entry.split("=", 1) for entry in shown.stdout.split("\0") if "=" in entry)
    store = s3(exported)

    store.put_object(Bucket=exported["VELLUM_BUCKET"], Key="hello.txt", Body=b"hello")

    assert store.get_object(Bucket=exported["VELLUM_BUCKET"], Key="hello.txt")["Body"].read() == b"hello"
    assert [bucket["Name"] for bucket in store.list_buckets()["Buckets"]] == [exported["VELLUM_BUCKET"]]


def test_the_python_of_the_readme_stores_a_file(platform: Installation, tmp_path: Path) -> None:
    """Proves: the Python example of the README stores a file in the bucket and lists the collections."""
    (code,) = re.findall(r"^```python\n(.+?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    exports = platform.run("connect", "team-a", "--export").stdout
    (tmp_path / "model.bin").write_bytes(b"model")

    subprocess.run(
        ["bash", "-euc", f'{exports}\nexec "$@"', "bash", sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
    )

    binding = platform.binding("team-a")
    stored = s3(binding).get_object(Bucket=binding["VELLUM_BUCKET"], Key="model.bin")
    assert stored["Body"].read() == b"model"


def test_another_python_connects_as_the_guide_says(platform: Installation, tmp_path: Path) -> None:
    """A Python without Vellum's packages needs nothing but the lines of the guide."""
    guide = (ROOT / "docs/guides/connect-your-code.md").read_text().partition("## Another Python")[2]
    (block,) = re.findall(r"^```console\n(.+?)^```", guide.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
    lines = "\n".join(line.removeprefix("$ ") for line in block.splitlines())
    bare = tmp_path / "python3"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o700)
    done = subprocess.run(
        ["bash", "-euc", lines],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "VELLUM_STATE": str(platform.state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (platform.binding("team-a")["VELLUM_BUCKET"], "")


def test_a_teams_key_opens_nothing_of_another_team(platform: Installation) -> None:
    """Proves: a team's keys open nothing of another team."""
    mine, other = platform.binding("team-a"), platform.binding("team-b")
    store = s3(mine)
    s3(other).put_object(Bucket=other["VELLUM_BUCKET"], Key="secret.txt", Body=b"secret")

    assert refused(store.get_object, Bucket=other["VELLUM_BUCKET"], Key="secret.txt") == "AccessDenied"
    assert refused(store.list_objects_v2, Bucket=other["VELLUM_BUCKET"]) == "AccessDenied"
    assert refused(store.put_object, Bucket=other["VELLUM_BUCKET"], Key="x", Body=b"x") == "AccessDenied"
    assert refused(store.put_object, Bucket="vellum-artifacts", Key="x", Body=b"x") == "AccessDenied"
    assert refused(store.create_bucket, Bucket="of-my-own") == "AccessDenied"
    wrong = s3(mine, AWS_SECRET_ACCESS_KEY="x" * 40)
    assert refused(wrong.list_objects_v2, Bucket=mine["VELLUM_BUCKET"]) == "SignatureDoesNotMatch"
    for key in (mine["QDRANT_API_KEY"], "", "x"):
        request = urllib.request.Request(f"{other['QDRANT_URL']}/collections", headers={"api-key": key})
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=10)
        error.value.close()
        assert error.value.code in (401, 403)


@pytest.mark.filterwarnings(
    "ignore:Api key is used with an insecure connection"
)  # loopback traffic cannot be intercepted
def test_the_unmodified_qdrant_client_works_behind_the_gateway(platform: Installation) -> None:
    """Proves: the unmodified qdrant-client works behind the gateway."""
    binding = platform.binding("team-a")
    client = QdrantClient(url=binding["QDRANT_URL"], api_key=binding["QDRANT_API_KEY"], port=None)
    client.delete_collection("points")
    client.create_collection("points", models.VectorParams(size=2, distance=models.Distance.COSINE))

    client.upsert("points", [models.PointStruct(id=1, vector=[1.0, 0.0]), models.PointStruct(id=2, vector=[0.0, 1.0])])

    assert [point.id for point in client.query_points("points", [0.9, 0.1]).points] == [1, 2]
    client.delete_collection("points")


def test_the_search_model_speaks_both_kserve_protocols(platform: Installation) -> None:
    """Proves: the search model serves KServe's v1 and v2 protocols."""
    url = platform.binding("team-b")["VELLUM_SEARCH_URL"]
    tensor = {"name": "question", "shape": [1], "datatype": "BYTES", "data": ["what is here?"]}

    first = post(f"{url}/v1/models/search:predict", {"instances": [{"question": "what is here?"}]})
    second = post(f"{url}/v2/models/search/infer", {"inputs": [tensor]})

    assert (first[0], second[0]) == (200, 200)
    assert first[1]["predictions"][0]["answers"] == []
    assert json.loads(second[1]["outputs"][0]["data"][0]) == first[1]["predictions"][0]


def test_weed_shell_without_the_installations_certificate_reads_nothing(platform: Installation, tmp_path: Path) -> None:
    from vellum.host.wheels import programs

    ports = json.loads((platform.state / "ports.json").read_text())
    owner = "seaweed/vellum-storage/store"
    argv = [
        programs()["weed"],
        f"-config_dir={tmp_path}",
        "shell",
        *(
            f"-{part}=127.0.0.1:{ports[f'{owner}/{part}']}.{ports[f'{owner}/{part}-grpc']}"
            for part in ("master", "filer")
        ),
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    shell = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            shell.communicate("s3.configure\ns3.bucket.list\n", timeout=5)
    finally:
        shell.kill()
    text, _ = shell.communicate()
    assert "team" not in text
    assert "accessKey" not in text


def test_the_object_stores_worker_finds_its_admin(platform: Installation) -> None:
    """The worker logs no error."""
    log = platform.state / "logs" / "seaweed.log"

    wait_for(lambda: "Worker registered" in log.read_text(errors="replace"))

    output = log.read_text(errors="replace").splitlines()
    assert [line for line in output if "worker" in line.lower() and "connection refused" in line] == []


def test_the_filer_does_not_serve_objects_around_the_keys(platform: Installation) -> None:
    binding = platform.binding("team-a")
    s3(binding).put_object(Bucket=binding["VELLUM_BUCKET"], Key="closed.txt", Body=b"closed")
    port = json.loads((platform.state / "ports.json").read_text())["seaweed/vellum-storage/store/filer"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)

    connection.request("GET", f"/buckets/{binding['VELLUM_BUCKET']}/closed.txt")
    with contextlib.closing(connection):
        assert connection.getresponse().status in (400, 401, 403, 404)


def test_the_volume_server_requires_a_signed_token(platform: Installation) -> None:
    port = json.loads((platform.state / "ports.json").read_text())["seaweed/vellum-storage/store/volume"]
    answers = []
    for method in ("GET", "POST"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request(method, "/1,01637037d6", b"block")
        with contextlib.closing(connection):
            answers.append(connection.getresponse().status)

    assert answers == [401, 401]


def test_the_gateway_answers_only_to_its_own_names(platform: Installation) -> None:
    binding = platform.binding("team-a")
    host = binding["AWS_ENDPOINT_URL"].removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)

    connection.request("GET", "/", headers={"Host": "evil.example"})

    with contextlib.closing(connection):
        assert connection.getresponse().status == 404


def test_everything_listens_on_loopback_alone(platform: Installation) -> None:
    """Proves: all processes listen on loopback only."""
    pids = {str(process["pid"]) for process in platform.processes().values()} | {str(platform.supervisor())}
    inodes = {
        str(entry.readlink()) for pid in pids for entry in (Path("/proc") / pid / "fd").iterdir() if entry.is_symlink()
    }
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.append(fields[1].split(":")[0])

    assert listening
    assert set(listening) <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}


def test_no_secret_stands_in_arguments_logs_or_status(platform: Installation) -> None:
    """Proves: no secret is in an argument, a log or the status."""
    secrets = {
        path.read_text().strip()
        for folder in (platform.state / "secrets").glob("*/*")
        for path in folder.iterdir()
        if path.name in ("AWS_SECRET_ACCESS_KEY", "QDRANT_API_KEY", "secretkey", "token", "api-key")
    }
    assert len(secrets) >= 5
    seen = [platform.run("status", "--events").stdout, platform.run("status", "--output", "json").stdout]
    seen += [path.read_text(errors="replace") for path in (platform.state / "logs").iterdir()]
    for process in platform.processes().values():
        seen.append((Path("/proc") / str(process["pid"]) / "cmdline").read_text())

    assert [secret[:4] for secret in secrets if any(secret in text for text in seen)] == []


def test_everything_on_disk_is_private(platform: Installation) -> None:
    ours = [platform.state, *platform.state.glob("*"), *(platform.state / "secrets").rglob("*")]
    open_to_others = [path for path in ours if not path.is_symlink() and path.stat().st_mode & 0o077]

    assert open_to_others == []
