"""Time of one pass of compose over a full claim, in milliseconds: what a control plane pays for every look.

First the claim is composed until it is ready, every object getting the status that its controller would write; then
the same pass is repeated. The minimum is the cost of the code; the median includes the machine's load.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from benchmarks.figures import Figure

from vellum.api.claim import Claim, claim_spec
from vellum.api.platform import Platform, platform_spec
from vellum.compose.team import compose_team
from vellum.model.keys import DUMMY_SEED
from vellum.model.state import Composed, Observed

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PASSES = 300
_TRUE = [{"type": kind, "status": "True"} for kind in ("Ready", "Available", "Programmed")]
_WELL = {"phase": "Ready", "conditions": _TRUE, "observedGeneration": 1, "readyReplicas": 1}
"""A status in which every kind that compose judges is ready."""
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def settled(claim: Claim, platform: Platform) -> tuple[Observed, Composed]:
    """Compose until nothing changes; return the observed objects and the answer."""
    observed = Observed()
    while True:
        composed = compose_team(claim, platform, observed, DUMMY_SEED, NOW)
        seen = Observed(
            resources={name: _as_stored(wanted.obj) for name, wanted in composed.objects.items()},
            required={
                name: {"status": _WELL} if asked.kind == "APIService" else None
                for name, asked in composed.requirements.items()
            },
        )
        if seen == observed:
            return observed, composed
        observed = seen


def _as_stored(obj: dict[str, Any]) -> dict[str, Any]:
    status = {**_WELL, "phase": "Active"} if obj["kind"] == "Namespace" else _WELL
    return {**obj, "metadata": {**obj["metadata"], "generation": 1}, "status": status}


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((EXAMPLES / path).read_text())
    return read


def measure() -> Iterator[Figure]:
    """Yield the figures."""
    written = _read(Path("03-data-team/claim.yaml"))
    meta = written["metadata"]
    claim = Claim(
        meta["namespace"],
        meta["name"],
        claim_spec().model_validate(written["spec"]),
        uid="0",
        rotation={"generation": 1},
    )
    spec = platform_spec().model_validate(_read(Path("platform/platform.yaml"))["spec"])
    platform = Platform(spec, uid="0")
    observed, composed = settled(claim, platform)
    assert composed.ready, composed.conditions
    times = []
    for _ in range(PASSES):
        began = time.perf_counter()
        compose_team(claim, platform, observed, DUMMY_SEED, NOW)
        times.append(1000 * (time.perf_counter() - began))
    what = f"One pass of compose over a full claim, {len(composed.objects)} objects"
    yield Figure(f"{what}: minimum", min(times), "ms", how=f"{PASSES} passes")
    yield Figure(f"{what}: median", statistics.median(times), "ms", 1, how=f"{PASSES} passes")
