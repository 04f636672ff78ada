"""``vellum ingest .`` in another user's folder runs none of the programs in it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def test_a_module_in_the_folder_from_which_ingest_is_called_does_not_run(tmp_path: Path) -> None:
    state, here, ran = tmp_path / "state", tmp_path / "documents", tmp_path / "ran"
    binding = state / "secrets" / "team" / "vellum-binding"
    binding.mkdir(parents=True)
    nowhere = "http://127.0.0.1:1"
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "VELLUM_BUCKET": "bucket", "QDRANT_URL": nowhere}.items():
        (binding / name).write_text(value)
    (state / "teams.json").write_text(json.dumps({"default/team-a": {"namespace": "team"}}))
    mark = (state / ".vellum").open("wb")
    fcntl.flock(mark, fcntl.LOCK_EX)
    here.mkdir()
    (here / "orjson.py").write_text(f"open({str(ran)!r}, 'w').close()\nraise SystemExit\n")

    argv = [str(Path(sys.executable).with_name("vellum")), "ingest", "."]
    ingest = subprocess.Popen(argv, cwd=here, env={**os.environ, "VELLUM_STATE": str(state)}, stderr=subprocess.DEVNULL)
    while ingest.poll() is None and not any((state / "data" / "ingest").glob("*/runs/*")):
        time.sleep(0.02)
    ingest.send_signal(signal.SIGINT)
    ingest.wait()
    mark.close()

    assert not ran.exists()
    assert any((state / "data" / "ingest").glob("*/runs/*"))
