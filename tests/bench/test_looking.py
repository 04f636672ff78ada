"""What a user sees with kubectl alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.bench.real import Bench, until

from vellum.kube.objects import make
from vellum.model.team import Team


@pytest.fixture
def waiting(bench: Bench) -> Iterator[str]:
    """Return a claim that cannot become ready: another owner has a namespace of its name."""
    team = Team("default", "watched", "")
    bench.apply(make("v1", "Namespace", team.namespace))
    bench.claim("watched", wait=0)
    until(lambda: bench.waits_for("watched").startswith("foreign"), 20)
    yield team.namespace
    bench.delete("watched")
    bench.kubectl("delete", "namespace", team.namespace)


def test_kubectl_get_shows_team_readiness_and_what_a_claim_waits_for(bench: Bench, waiting: str) -> None:
    """Proves: `kubectl get` shows what a claim waits for."""
    team = bench.claim("seen")
    header, *rows = bench.kubectl("get", "mlopsplatform").splitlines()
    assert header.split() == ["NAME", "TEAM", "WAITS-FOR", "SYNCED", "READY", "CONNECTION-SECRET", "AGE"]
    shown = {row.split()[0]: re.split(r"\s{2,}", row) for row in rows}
    assert shown["seen"][:4] == ["seen", team.id, "True", "True"]
    assert shown["watched"][1].startswith("foreign, so not changed: Namespace")
    bench.delete("seen")


def test_kubectl_describe_tells_what_is_wrong_in_conditions_and_events(bench: Bench, waiting: str) -> None:
    """Proves: `kubectl describe` shows what is wrong, in conditions and events."""
    sentence = f"foreign, so not changed: Namespace {waiting} (without a controller)"

    def said() -> tuple[bool, bool]:
        conditions, _, events = bench.kubectl("describe", "mlopsplatform", "watched").partition("Events:")
        return sentence in conditions, sentence in events

    until(lambda: said() == (True, True), 20, lambda: str(said()))


def test_the_events_of_a_claim_tell_how_it_became_ready(bench: Bench) -> None:
    bench.claim("told", notebooks="enabled")

    def told() -> list[str]:
        output = bench.kubectl("events", "--for", "mlopsplatform/told", "--no-headers")
        return [line for line in output.splitlines() if " Creating " in line or " Available " in line]

    # Events are written beside the conditions, so the last one may come later.
    # And kubectl sorts them by whole seconds.
    until(lambda: any(line.endswith("every part is ready") for line in told()), 20, lambda: "\n".join(told()))
    assert any("namespace: Namespace" in line for line in told())
    bench.delete("told")


def test_kubectl_explain_knows_every_field_of_a_claim(bench: Bench) -> None:
    output = bench.kubectl("explain", "mlopsplatform.spec")
    for field in ("notebooks", "size", "owner", "deletionPolicy", "vectors", "artifacts", "search"):
        assert re.search(rf"^  {field}\t<", output, re.MULTILINE), output


def test_the_platform_shows_its_parts_too(bench: Bench) -> None:
    header, row = bench.kubectl("get", "kubeflowplatform").splitlines()
    assert header.split() == ["NAME", "PROFILE", "WAITS-FOR", "SYNCED", "READY", "COMPOSITION", "AGE"]
    assert row.split()[:5] == ["kubeflow", "standard", "True", "True", "kubeflowplatform"]
