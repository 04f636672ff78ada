"""A notebook cell, run through the kernel's websocket as JupyterLab's own page does."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import sysconfig
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from tests.platform.harness import Installation, wait_for
from tornado.httpclient import HTTPRequest
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


def reached(base: str) -> tuple[str, dict[str, str]]:
    """Return a notebook's address for programs, and the host name that they must send."""
    parts = urlsplit(base)
    return f"http://127.0.0.1:{parts.port}{parts.path}", {"Host": parts.netloc}


def api(base: str, token: str, path: str, method: str = "GET", body: Any = None) -> Any:
    url, named = reached(base)
    request = urllib.request.Request(
        f"{url}{path}",
        method=method,
        headers={**named, "Authorization": f"token {token}"},
        data=None if body is None else json.dumps(body).encode(),
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def origin(base: str) -> str:
    """Return what JupyterLab's own page is."""
    return f"http://{urlsplit(base).netloc}"


def opened(base: str, path: str) -> Any:
    """Open a WebSocket as JupyterLab's own page does."""
    url, named = reached(base)
    where = f"ws{url.removeprefix('http')}{path}"
    return websocket_connect(HTTPRequest(where, headers={**named, "Origin": origin(base)}))


async def run(base: str, token: str, kernel: str, code: str) -> str:
    """Execute code and return everything that it printed."""
    socket = await opened(base, f"api/kernels/{kernel}/channels?token={token}")
    message = uuid4().hex
    header = {
        "msg_id": message,
        "msg_type": "execute_request",
        "username": "",
        "session": uuid4().hex,
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps(request))
    text = ""
    while True:
        answer = json.loads(await socket.read_message() or "null")
        if answer is None or answer["parent_header"].get("msg_id") != message:
            continue
        if answer["msg_type"] == "stream" and answer["content"]["name"] == "stdout":
            text += answer["content"]["text"]
        if answer["msg_type"] == "error":
            text += "\n".join(answer["content"]["traceback"])
        # Not the reply: it comes by another channel, and may come before what was printed.
        if answer["msg_type"] == "status" and answer["content"]["execution_state"] == "idle":
            socket.close()
            while await socket.read_message() is not None:
                pass
            return text


def test_a_cell_finds_its_bucket_and_vectors_by_connect(platform: Installation) -> None:
    assert execute(platform, CELL) == ["cell 1\n"]


def test_commands_in_a_cell_know_that_they_are_in_a_notebook(platform: Installation) -> None:
    """`up` is refused and starts nothing beside the cell; `status` shows the installation around the notebook."""
    refused, shown, beside = execute(
        platform, "!NO_COLOR=1 vellum up; echo $?", "!NO_COLOR=1 vellum status", "import os; print(os.listdir())"
    )

    name = platform.process("notebook")["name"]
    lines = refused.replace("\r\n", "\n").splitlines()
    here = f"this is inside {name} of the installation in {platform.state}"
    what = f"`vellum up` starts, stops or deletes parts of a platform, and {here}"
    assert (lines[0], lines[-1]) == (f"error VEL736: {what}", "1")
    assert shown.replace("\r\n", "\n") == platform.run("status").stdout
    assert ".vellum" not in beside


def test_a_home_file_named_like_a_module_does_not_stop_the_notebook(platform: Installation) -> None:
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


def execute(installation: Installation, *cells: str, kernel: str = "") -> list[str]:
    """Run cells one after the other in one new kernel of the notebook; return what each printed."""
    base, token = address(installation)
    kernel = api(base, token, "api/kernels", "POST", {"name": kernel} if kernel else None)["id"]
    messages = [asyncio.run(run(base, token, kernel, cell)) for cell in cells]
    api(base, token, f"api/kernels/{kernel}", "DELETE")
    return messages


async def typed(base: str, token: str, terminal: str, line: str, end: str) -> str:
    """Type a line into a terminal and return what it shows until a line is ``end``."""
    socket = await opened(base, f"terminals/websocket/{terminal}?token={token}")
    await socket.write_message(json.dumps(["stdin", f"{line}\r"]))
    shown = ""
    while f"\n{end}\r" not in shown:
        kind, *more = json.loads(await socket.read_message() or '["end"]')
        assert kind != "end", shown
        shown += more[0] if kind == "stdout" else ""
    socket.close()
    while await socket.read_message() is not None:
        pass
    return shown


def wheel(folder: Path, name: str, version: str, text: str) -> Path:
    """Make a wheel with one module."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}/__init__.py", text)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def vellums_own() -> dict[str, tuple[int, int, int]]:
    """Return every file of Vellum's environment except bytecode, with the inode, size and time that a write changes."""
    packages = Path(sysconfig.get_path("purelib"))
    stats = {path: path.lstat() for path in packages.rglob("*") if "__pycache__" not in path.parts}
    return {
        str(path.relative_to(packages)): (result.st_ino, result.st_size, result.st_mtime_ns)
        for path, result in stats.items()
        if not stat.S_ISDIR(result.st_mode)
    }


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


@pytest.mark.timeout(300)
def test_the_notebook_has_an_environment_of_its_own(installation: Installation, tmp_path: Path) -> None:
    """Packages that pip installs take precedence, survive down and up, and leave Vellum's environment unchanged."""
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
        "open('beside.py', 'w').write('said = 7'); import beside; print(beside.said)",
        "!python -c 'import numpy; print(numpy.__version__)'",
    )
    assert "Successfully installed brought-1.0" in done[0]
    assert done[1:3] == ["brought along\n", "plain boto3 CollectionsResponse\nTrue True\n"]
    assert "Successfully installed numpy-99.0" in done[3]
    assert done[5] == "7\n"
    assert done[6].strip() == "not the one of Vellum"
    assert vellums_own().items() ^ before.items() == set()

    installation.run("down")
    installation.run("up")

    kept = execute(installation, "import brought; print(brought.said)", "!pip uninstall --yes numpy", PLAIN)
    assert (kept[0], kept[2]) == ("brought along\n", "plain boto3 CollectionsResponse\nTrue True\n")
    assert vellums_own().items() ^ before.items() == set()


OTHER = """
import os, subprocess, sys, sysconfig, venv
from pathlib import Path
mine = Path.home() / "mine"
venv.create(mine, with_pip=False)
# Stands for a download: the kernel's packages, and nothing of Vellum itself.
(next(mine.glob("lib/python*/site-packages")) / "downloaded.pth").write_text(PACKAGES)
!~/mine/bin/python -m ipykernel install --user --name mine
"""
IN_OTHER = """
import os, sys
!python -c "import sys; print(sys.prefix)"
try:
    import vellum
except ImportError:
    import os, sys; sys.path.append(os.environ["VELLUM_PYTHONPATH"])
import vellum
print(sys.prefix, vellum.connect().VELLUM_BUCKET == os.environ["VELLUM_BUCKET"], vellum.__file__.startswith(os.environ["VELLUM_PYTHONPATH"]))
"""


def test_kernels_and_terminals_of_a_persons_own_have_the_binding(platform: Installation) -> None:
    """``ipykernel install --user`` works; a terminal's pip is the notebook's; both have the binding's variables."""
    packages = sysconfig.get_path("purelib")
    only_theirs = platform.root / "theirs"
    only_theirs.mkdir()
    for path in Path(packages).iterdir():
        if "vellum" not in path.name.lower():
            (only_theirs / path.name).symlink_to(path)
    base, token = address(platform)
    (home,) = (platform.state / "data").glob("*team-a*/notebook-workspace")
    try:
        execute(platform, f"PACKAGES = {str(only_theirs)!r}", OTHER)
        text = execute(platform, IN_OTHER, kernel="mine")[0].split("\n")
        # The shell may be dash: its prompt stays on the line of the first answer, and command -v takes one name.
        line = 'echo; echo "$AWS_ACCESS_KEY_ID"; command -v pip; command -v python; echo done'
        terminal = api(base, token, "api/terminals", "POST")["name"]
        shown = asyncio.run(typed(base, token, terminal, line, "done"))
        api(base, token, f"api/terminals/{terminal}", "DELETE")
    finally:
        shutil.rmtree(home / "work" / "mine", ignore_errors=True)
        shutil.rmtree(home / "jupyter" / "data" / "kernels" / "mine", ignore_errors=True)

    mine = home / "work" / "mine"
    assert [line.strip() for line in text] == [str(mine), f"{mine} True True", ""]
    tools = [str(home / "environment" / "bin" / name) for name in ("pip", "python")]
    # The shell switches its paste mode on and off around a command.
    lines = [line.strip().removeprefix("\x1b[?2004l").strip() for line in shown.split("\n")]
    expected = [platform.binding("team-a")["AWS_ACCESS_KEY_ID"], *tools, "done"]
    assert [line for line in lines if line in expected] == expected, shown
