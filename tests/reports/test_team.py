"""What a deletion removes and keeps: on a laptop, on a cluster, with an external store."""

from __future__ import annotations

import pytest

from vellum.kube.objects import Obj
from vellum.reports import team


def claim(policy: str) -> Obj:
    spec = {"deletionPolicy": policy} if policy else {}
    return {"kind": "MLOpsPlatform", "metadata": {"namespace": "default", "name": "team-a"}, "spec": spec}


@pytest.mark.parametrize(
    ("policy", "laptop", "external", "stays"),
    [
        ("Retain", True, False, {"notebook's home", "bucket", "vectors"}),
        ("", True, False, {"notebook's home", "bucket", "vectors"}),
        ("Delete", True, False, set()),
        ("Retain", False, False, {"bucket", "vectors"}),
        ("Delete", False, False, set()),
        ("Delete", False, True, {"bucket"}),
    ],
)
def test_what_stays_is_said(policy: str, laptop: bool, external: bool, stays: set[str]) -> None:
    fates = team.fates(claim(policy), laptop=laptop, external=external)
    assert {item.what for item in fates if item.stays} == stays
    assert [item.what for item in fates] == ["namespace", "notebook's home", "bucket", "vectors"]


def test_a_cluster_says_why_the_home_goes() -> None:
    (line,) = [item for item in team.fate_lines(team.fates(claim("Retain"), laptop=False), {}) if "home" in item]
    assert line.split()[:4] == ["goes", "notebook's", "home", "notebook-workspace"]
    assert "its volume is in the team's namespace" in line
