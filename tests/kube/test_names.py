"""Every name that is derived from an accepted claim is valid where it is used, and belongs to that claim alone."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import NAMES

from vellum.kube import names
from vellum.model.team import Team

BUCKET = re.compile(r"(?!xn--|sthree-)[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?<!-s3alias)(?<!--ol-s3)(?<!--x-s3)")
KSERVE_HOST = "{service}-predictor-{namespace}"


@settings(max_examples=300, deadline=None)
@given(NAMES, NAMES)
def test_every_derived_name_fits_its_limit(namespace: str, name: str) -> None:
    team = Team(namespace, name, "")
    assert names.is_dns_label(team.namespace)
    assert len(team.namespace) <= names.TEAM_LIMIT
    assert BUCKET.fullmatch(team.bucket)
    assert names.is_dns_label(team.qdrant)
    assert len(team.qdrant) <= names.STATEFUL_SET_LIMIT
    assert names.is_dns_label(KSERVE_HOST.format(service="search", namespace=team.namespace))
    assert all(names.is_dns_label(value) for value in team.labels.values())
    # The Secret of a key, its generation counted up for years.
    assert names.is_dns_label(f"s3-{team.id}-g9999")


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab-"), min_size=3, max_size=40), st.integers(1, 38), st.integers(1, 38))
def test_the_place_where_namespace_ends_and_name_begins_matters(text: str, one: int, two: int) -> None:
    """``a-b``/``c`` and ``a``/``b-c`` read alike when joined, and must never share anything."""
    pairs = {(text[:cut], text[cut + 1 :]) for cut in (one, two) if 0 < cut < len(text) - 1}
    assert len({names.team_id(*pair) for pair in pairs}) == len(pairs)


def _bucket(namespace: str, name: str) -> str:
    return Team(namespace, name, "").bucket


def _qdrant(namespace: str, name: str) -> str:
    return Team(namespace, name, "").qdrant


@settings(max_examples=200, deadline=None)
@given(st.sets(st.tuples(NAMES, NAMES), min_size=2, max_size=20))
def test_different_claims_share_no_name(claims: set[tuple[str, str]]) -> None:
    for derived in (names.team_id, _bucket, _qdrant):
        assert len({derived(*claim) for claim in claims}) == len(claims)


def test_names_that_look_alike_are_told_apart() -> None:
    long = "a" * 62
    alike = [
        ("a-b", "c"),
        ("a", "b-c"),
        ("c", "a-b"),
        ("a", "b"),
        ("b", "a"),
        ("ab", "c"),
        ("a", "bc"),
        (long, "b"),
        (long, "c"),
        (long + "a", "b"),
        ("b", long + "x"),
        ("b", long + "y"),
        ("b", long),
    ]
    assert len({names.team_id(*pair) for pair in alike}) == len(alike)


def test_names_are_what_they_were() -> None:
    """Live buckets, volumes and keys are found by these: a change orphans all of them."""
    team = Team("team-a", "research", "")
    assert (team.namespace, team.bucket, team.qdrant) == (
        "team-a-research-6gnoutl5ip5t",
        "vellum-team-a-research-6gnoutl5ip5t",
        "qdrant-team-a-research-6gnoutl5ip5t",
    )


def test_what_is_no_dns_label_is_told() -> None:
    accepted = {
        text
        for text in ("a", "a-b", "0", "a" * 63, "", "-a", "a-", "A", "a.b", "a_b", "é", "a\n", "a" * 64)
        if names.is_dns_label(text)
    }
    assert accepted == {"a", "a-b", "0", "a" * 63}


def test_the_resource_of_a_kind_is_named_as_the_api_server_names_it() -> None:
    named = {
        "NetworkPolicy": "networkpolicies",
        "Gateway": "gateways",
        "StorageClass": "storageclasses",
        "Ingress": "ingresses",
        "APIService": "apiservices",
        "S3Identity": "s3identities",
        "S3Credentials": "s3credentials",
        "Bucket": "buckets",
        "PersistentVolumeClaim": "persistentvolumeclaims",
        "CompositeResourceDefinition": "compositeresourcedefinitions",
    }
    assert {kind: names.plural(kind) for kind in named} == named
