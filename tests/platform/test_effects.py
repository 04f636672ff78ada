"""SIGKILL at every effect of one claim's life, and then an ordinary life on what is left.

``make test`` takes every thirty-eighth effect; ``VELLUM_FAULTS=all`` takes all (an hour), ``VELLUM_FAULTS=7,9`` these.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from tests.platform.door import ROOT, Installation, new_installation
from tests.platform.test_services import s3

pytestmark = [pytest.mark.laptop, pytest.mark.slow, pytest.mark.timeout(3600)]
CHOSEN = os.environ.get("VELLUM_FAULTS", "")


def chosen(effects: int) -> list[int]:
    """Return the numbers of the effects at which a life ends."""
    if CHOSEN in ("", "all"):
        return list(range(1, effects + 1, 1 if CHOSEN else 38))
    return [int(number) for number in CHOSEN.split(",")]


def lead_a_life(installation: Installation, fatal: int) -> tuple[int, list[str]]:
    """Run a supervisor that ends at one effect; return its exit code and the effects that it reached."""
    counted = installation.root / "effects"
    environment = {**os.environ, "VELLUM_STATE": str(installation.state)}
    argv = [sys.executable, "-m", "tests.platform.one_life", str(fatal), str(counted)]
    log = (installation.root / "life.log").open("w")
    with log:
        done = subprocess.run(
            argv, cwd=ROOT, env=environment, stdout=log, stderr=log, timeout=120, check=False
        )
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
    mine = subprocess.run(
        ["pgrep", "-af", str(installation.state)], capture_output=True, text=True, check=False
    )
    assert mine.stdout == "", "nothing of either life runs any more"


def test_a_claim_survives_a_kill_at_any_effect(
    tmp_path: Path,
) -> None:
    for installation in new_installation():
        code, effects = lead_a_life(installation, 0)
    kinds = {effect.split()[0].rstrip(":") for effect in effects}
    assert (code, kinds >= {"start", "end", "tenants", "mount", "routes", "remove", "pass", "status"}) == (
        0,
        True,
    )

    troubles: list[str] = []
    for fatal in chosen(len(effects)):
        for installation in new_installation():
            code, reached = lead_a_life(installation, fatal)
            try:
                # 0: threads ran in another order and the life ended with an effect less.
                assert code in (-9, 0)
                an_ordinary_life_goes_on(installation)
            except (AssertionError, pytest.fail.Exception) as trouble:
                troubles.append(f"effect {fatal} ({reached[-1]}): {trouble}")
                shutil.copytree(installation.state / "logs", tmp_path / str(fatal))

    assert troubles == []
