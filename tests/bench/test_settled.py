"""A settled platform is silent: nothing is written that changes anything. Ten minutes of it are a figure of make bench."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.control_plane import versions
from tests.bench.real import Bench

from vellum.cluster.api import Api

LONGER_THAN_A_POLL = 75
"""Seconds; Crossplane looks at every composite once a minute."""


def test_nothing_changes_while_nothing_is_asked(bench: Bench) -> None:
    bench.claim("quiet", notebooks="enabled")
    api = Api(Path(bench.kubeconfig))
    before = versions(api)
    # What the claim set in motion may still end: its pods' last statuses, the quota's count.
    while True:
        time.sleep(10)
        now = versions(api)
        if now == before:
            break
        before = now

    time.sleep(LONGER_THAN_A_POLL)

    after = versions(api)
    assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} == set()
    assert len(after) > 300
    bench.delete("quiet")
