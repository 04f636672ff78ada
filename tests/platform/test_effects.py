"""SIGKILL at every effect of one claim's life, and then an ordinary life on what is left.

``make test`` takes one effect of each kind outside the store, because ``tests/controlplane`` ends a life at every write.
``VELLUM_FAULTS=all`` takes all (two hours), ``VELLUM_FAULTS=7,9`` these.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.platform.harness import ROOT, Installation, new_installation
from tests.platform.test_services import s3

pytestmark = [pytest.mark.laptop, pytest.mark.slow, pytest.mark.timeout(3600)]
CHOSEN = os.environ.get("VELLUM_FAULTS", "")


OUTSIDE = ("end", "mount", "pass", "remove", "routes", "start", "weed")
"""The kinds of effects that reach processes, files or the object store."""


def kind_of(effect: str) -> str:
    return effect.split(maxsplit=1)[0].rstrip(":")


def chosen(effects: list[str]) -> list[int]:
    """Return the numbers of the effects at which a life ends; the first effect is 1."""
    if CHOSEN == "all":
        return list(range(1, len(effects) + 1))
    if CHOSEN:
        return [int(number) for number in CHOSEN.split(",")]
    middle = []
    for kind, when in zip(OUTSIDE, cycle(("before", "after")), strict=False):
        numbers = [n for n, effect in enumerate(effects, 1) if (kind_of(effect), effect.split()[-1]) == (kind, when)]
        middle.append(numbers[len(numbers) // 2])
    return middle


def lead_a_life(installation: Installation, fatal: int) -> tuple[int, list[str]]:
    """Run a supervisor that ends at one effect; return its exit code and the effects that it reached."""
    counted = installation.root / "effects"
    environment = {**os.environ, "VELLUM_STATE": str(installation.state)}
    argv = [sys.executable, "-m", "tests.platform.one_life", str(fatal), str(counted)]
    log = (installation.root / "life.log").open("w")
    with log:
        done = subprocess.run(argv, cwd=ROOT, env=environment, stdout=log, stderr=log, timeout=120, check=False)
    return done.returncode, counted.read_text().splitlines()


def an_ordinary_life_goes_on(installation: Installation) -> None:
    """The claim becomes Ready, its key opens its bucket, and after its deletion nothing of it is left but its data."""
    installation.up(team_a="{}")
    binding = installation.binding("team-a")
    store = s3(binding)
    store.put_object(Bucket=binding["VELLUM_BUCKET"], Key="after.txt", Body=b"after")
    assert store.get_object(Bucket=binding["VELLUM_BUCKET"], Key="after.txt")["Body"].read() == b"after"

    installation.run("delete", "team-a", "--yes")

    assert [obj["kind"] for obj in installation.status()["objects"]] == ["KubeflowPlatform"]
    assert sorted(installation.processes()) == ["envoy", "s3", "seaweed"]
    assert not any((installation.state / "secrets").glob("default-team-a-*/*"))
    with pytest.raises(ClientError) as error:
        store.list_objects_v2(Bucket=binding["VELLUM_BUCKET"])
    assert error.value.response["Error"]["Code"] in ("InvalidAccessKeyId", "AccessDenied")
    installation.run("down")
    mine = subprocess.run(["pgrep", "-af", str(installation.state)], capture_output=True, text=True, check=False)
    assert mine.stdout == "", "nothing of either life runs any more"


def test_a_claim_survives_a_kill_at_any_effect(tmp_path: Path) -> None:
    for installation in new_installation():
        code, effects = lead_a_life(installation, 0)
    assert (code, {*map(kind_of, effects)} >= {*OUTSIDE, "status"}) == (0, True)

    def trouble(fatal: int) -> str:
        """Return what went wrong after a kill at an effect, or an empty text."""
        troubles = []
        for installation in new_installation():
            code, reached = lead_a_life(installation, fatal)
            try:
                # 0: threads ran in another order and the life ended with an effect less.
                assert code in (-9, 0)
                an_ordinary_life_goes_on(installation)
            except (AssertionError, pytest.fail.Exception) as wrong:
                shutil.copytree(installation.state / "logs", tmp_path / str(fatal))
                troubles.append(f"effect {fatal} ({reached[-1]}): {wrong}")
        return "".join(troubles)

    # Two at a time, for two cores: each life has an installation of its own.
    with ThreadPoolExecutor(2) as pool:
        assert [*filter(None, pool.map(trouble, chosen(effects)))] == []
