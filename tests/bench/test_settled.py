"""A settled platform changes no objects. The benchmark ``control_plane`` measures ten minutes of this."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from benchmarks.control_plane import versions, writes
from tests.bench.real import Bench, until

from vellum.cluster.api import Api

QUIET = 45
"""Seconds; longer than the 30 in which Crossplane tries again what failed."""
OBJECTS_OF_A_CLAIM = 29


def at_rest(api: Api) -> dict[str, str]:
    """Return the versions of everything once nothing has changed for ten seconds."""
    before: dict[str, str] = {}
    for _ in range(12):
        now = versions(api)
        if now == before:
            return now
        before = now
        time.sleep(10)
    pytest.fail("it does not come to rest within two minutes")


def test_nothing_changes_while_no_one_asks(bench: Bench) -> None:
    """Proves: nothing is written once a claim has settled."""
    bench.claim("quiet", notebooks="enabled")
    (composite,) = (item for item in bench.list("xmlopsplatform") if item["spec"]["claimRef"]["name"] == "quiet")
    api = Api(Path(bench.kubeconfig))
    before = at_rest(api)

    time.sleep(QUIET)

    assert versions(api) == before

    asked = writes(api)
    bench.kubectl("annotate", "xmlopsplatform", composite["metadata"]["name"], "look=again")
    until(lambda: writes(api) - asked >= OBJECTS_OF_A_CLAIM, 30, lambda: "Crossplane did not look again")

    after = at_rest(api)
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed == {f"xmlopsplatforms /{composite['metadata']['name']}"}
    bench.delete("quiet")
