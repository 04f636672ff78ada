"""A notebook cell, run through the kernel's websocket as JupyterLab's own page does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
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
