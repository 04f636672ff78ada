"""The table of faults made on purpose: aligned, and no fault counts as repaired that is not."""

from __future__ import annotations

from vellum.kube.objects import Obj
from vellum.reports import repairs


def test_every_fault_is_a_line_with_its_time_and_its_receipt() -> None:
    times: Obj = {"seen": "2026-11-25T12:00:00Z", "back": "2026-11-25T12:00:09Z"}
    deployment = {**times, "component": "kserve", "object": "Deployment kserve/kserve", "wrong": "missing"}
    process = {**times, "component": "gateway", "object": "process envoy", "wrong": "killed by signal 9"}
    done: list[Obj] = [
        {"object": "process envoy", "done": "killed", "seconds": 0.13, "receipt": {**process, "seconds": 0.117}},
        {
            "object": "Deployment kserve/kserve",
            "done": "deleted",
            "seconds": 11.52,
            "receipt": {**deployment, "seconds": 9, "revision": 2},
        },
        {"object": "Role team-a/editor", "done": "edited", "seconds": None, "receipt": None},
    ]
    assert repairs.text(done).splitlines() == [
        "OBJECT                    DONE     BACK AFTER  RECEIPT",
        "process envoy             killed   0.13 s      killed by signal 9, 0.1 s",
        "Deployment kserve/kserve  deleted  11.52 s     missing, 9.0 s, revision 2",
        "Role team-a/editor        edited   not back    none",
    ]
