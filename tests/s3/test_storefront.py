"""The front as the laptop runs it: its own process, before a store that stands still."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vellum.components.storage import FRONT_SECRET
from vellum.components.storefront import READY_PATH, component
from vellum.host.child import answer
from vellum.host.ports import is_free
from vellum.model.process import Probe, Process, Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site whose store takes connections and says nothing."""
    keys = tmp_path / FRONT_SECRET
    keys.mkdir()
    identity = {"credentials": [{"accessKey": "a", "secretKey": "s"}]}
    (keys / "s3.json").write_text(json.dumps({"identities": [identity]}))
    port = next(port for port in range(21000, 22000) if is_free(port))
    with socket.socket(socket.AF_UNIX) as store:
        store.bind(str(tmp_path / "s3.sock"))
        store.listen(16)
        yield Site(
            directory=tmp_path,
            secrets=tmp_path,
            ports={"http": port},
            runtime=tmp_path,
            python=sys.executable,
            env={"VELLUM_S3_GRACE": "25"},
        )


def test_a_store_that_stands_still_is_not_the_fault_of_the_front(site: Site) -> None:
    """The supervisor kills what does not answer its probe; a cluster's readiness asks the store too."""
    process = component.process({}, site)
    assert process.probe is not None
    with subprocess.Popen(process.argv, env={**os.environ, **process.env}) as child:
        try:
            _begun(process, process.probe)
            assert answer(process.probe, 2) == 200
            assert answer(Probe(process.probe.port, READY_PATH), 0.5) != 200
        finally:
            child.terminate()
        # The supervisor kills it after that.
        assert child.wait(process.grace_seconds + 2) is not None


def _begun(process: Process, probe: Probe) -> None:
    deadline = time.monotonic() + 20
    while answer(probe, 2) == 0:
        assert time.monotonic() < deadline, process.name
        time.sleep(0.05)
