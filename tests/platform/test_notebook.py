"""A notebook cell, run through the kernel's websocket as JupyterLab's own page does."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sysconfig
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from tests.platform.door import Installation, wait_for
from tornado.websocket import websocket_connect

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(120)]
CELL = """
import vellum
from qdrant_client import models
binding = vellum.connect()
binding.s3().put_object(Bucket=binding.VELLUM_BUCKET, Key="from-a-cell.txt", Body=b"cell")
vectors = binding.qdrant()
vectors.delete_collection("cells")
vectors.create_collection("cells", models.VectorParams(size=2, distance=models.Distance.DOT))
vectors.upsert("cells", [models.PointStruct(id=7, vector=[1.0, 2.0], payload={"from": "cell"})])
body = binding.s3().get_object(Bucket=binding.VELLUM_BUCKET, Key="from-a-cell.txt")["Body"].read()
print(body.decode(), vectors.count("cells").count)
"""


def address(platform: Installation) -> tuple[str, str]:
    """Return the notebook's base URL and its token, as `vellum open --print` shows them."""
    parts = urlsplit(platform.run("open", "--team", "team-a", "--print").stdout.strip())
    return f"http://{parts.netloc}{parts.path.removesuffix('lab')}", parse_qs(parts.query)["token"][0]


def api(base: str, token: str, path: str, method: str = "GET") -> Any:
    request = urllib.request.Request(
        f"{base}{path}", method=method, headers={"Authorization": f"token {token}"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


async def run(base: str, token: str, kernel: str, code: str) -> str:
    """Execute code and return everything that it printed."""
    socket = await websocket_connect(
        f"ws{base.removeprefix('http')}api/kernels/{kernel}/channels?token={token}"
    )
    message = uuid4().hex
    header = {
        "msg_id": message,
        "msg_type": "execute_request",
        "username": "",
        "session": uuid4().hex,
        "version": "5.3",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
    }
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps(request))
    said = ""
    while True:
        answer = json.loads(await socket.read_message() or "null")
        if answer is None or answer["parent_header"].get("msg_id") != message:
            continue
        if answer["msg_type"] == "stream" and answer["content"]["name"] == "stdout":
            said += answer["content"]["text"]
        if answer["msg_type"] == "error":
            said += "\n".join(answer["content"]["traceback"])
        if answer["msg_type"] == "execute_reply":
            socket.close()
            while await socket.read_message() is not None:
                pass
            return said


def test_a_cell_finds_its_bucket_and_vectors_by_connect(platform: Installation) -> None:
    base, token = address(platform)
    kernel = api(base, token, "api/kernels", "POST")["id"]

    said = asyncio.run(run(base, token, kernel, CELL))

    api(base, token, f"api/kernels/{kernel}", "DELETE")
    assert said == "cell 1\n"


def test_a_file_in_its_home_that_is_named_like_a_module_does_not_stop_the_notebook(
    platform: Installation,
) -> None:
    name = platform.process("notebook")["name"]
    (home,) = (platform.state / "data").glob("*team-a*/notebook-workspace/work")
    planted = home / "random.py"
    planted.write_text("raise SystemExit('planted')\n")
    try:
        before = platform.process("notebook")
        os.kill(before["pid"], signal.SIGKILL)
        after = wait_for(lambda: other(platform, before["pid"]))
    finally:
        planted.unlink()

    assert (after["name"], after["restarts"]) == (name, before["restarts"] + 1)


def other(platform: Installation, before: int) -> dict[str, Any] | None:
    process = platform.process("notebook")
    return process if process["ready"] and process["pid"] != before else None


@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_its_token_the_notebook_opens_for_nobody(platform: Installation, token: str) -> None:
    base, _ = address(platform)

    with pytest.raises(urllib.error.HTTPError) as error:
        api(base, token, "api/kernels")

    error.value.close()
    assert error.value.code in (401, 403)


def execute(installation: Installation, *cells: str) -> list[str]:
    """Run cells one after the other in one new kernel of the notebook; return what each printed."""
    base, token = address(installation)
    kernel = api(base, token, "api/kernels", "POST")["id"]
    said = [asyncio.run(run(base, token, kernel, cell)) for cell in cells]
    api(base, token, f"api/kernels/{kernel}", "DELETE")
    return said


def wheel(folder: Path, name: str, version: str, text: str) -> Path:
    """Make a wheel with one module."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}/__init__.py", text)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(
            f"{info}/RECORD", f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return path


def vellums_own() -> str:
    """Return a hash over every file of the environment that Vellum runs in, but for bytecode."""
    found, packages = hashlib.sha256(), Path(sysconfig.get_path("purelib"))
    for path in sorted(packages.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(f"{path.relative_to(packages)}\0{path.stat().st_size}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


WHICH = """
import sys, shutil, os
print(sys.prefix == os.environ["VIRTUAL_ENV"])
!python -c "import sys; print(sys.prefix)"
!pip --version
print(shutil.which("pip"))
"""
PLAIN = """
import os, boto3, pandas, matplotlib, sklearn, vellum
from qdrant_client import QdrantClient
s3, bucket = boto3.client("s3"), os.environ["VELLUM_BUCKET"]
s3.put_object(Bucket=bucket, Key="plain.txt", Body=b"plain boto3")
qdrant = QdrantClient(url=os.environ["QDRANT_URL"], api_key=os.environ["QDRANT_API_KEY"], port=None, check_compatibility=False)
print(s3.get_object(Bucket=bucket, Key="plain.txt")["Body"].read().decode(), type(qdrant.get_collections()).__name__)
print(boto3.Session().region_name == os.environ["AWS_REGION"], vellum.connect().VELLUM_BUCKET == bucket)
"""


def test_the_notebook_has_an_environment_of_its_own(installation: Installation, tmp_path: Path) -> None:
    """What pip installs there wins, stays over down and up, and leaves Vellum's own environment as it was."""
    installation.up(team_a="{notebooks: enabled}")
    (home,) = (installation.state / "data").glob("default-team-a-*/notebook-workspace")
    environment = home / "environment"
    first = wheel(tmp_path, "brought", "1.0", "said = 'brought along'\n")
    hostile = wheel(tmp_path, "numpy", "99.0", "__version__ = 'not the one of Vellum'\n")
    before = vellums_own()

    which = execute(installation, WHICH)[0].splitlines()
    assert which[0] == "True", which
    assert which[1:] == [
        str(environment),
        next(line for line in which if line.startswith("pip ") and str(environment) in line),
        str(environment / "bin" / "pip"),
    ]
    done = execute(
        installation,
        f"%pip install --no-index '{first}'",
        "import brought; print(brought.said)",
        PLAIN,
        f"!pip install --no-index --no-deps --force-reinstall '{hostile}'",
        "%pip uninstall --yes boto3 vellum jupyterlab",
        "!python -c 'import numpy; print(numpy.__version__)'",
    )
    assert "Successfully installed brought-1.0" in done[0]
    assert done[1:3] == ["brought along\n", "plain boto3 CollectionsResponse\nTrue True\n"]
    assert "Successfully installed numpy-99.0" in done[3]
    assert done[5].strip() == "not the one of Vellum"
    assert vellums_own() == before

    installation.run("down")
    installation.run("up")

    kept = execute(installation, "import brought; print(brought.said)", "!pip uninstall --yes numpy", PLAIN)
    assert (kept[0], kept[2]) == ("brought along\n", "plain boto3 CollectionsResponse\nTrue True\n")
    assert vellums_own() == before
