"""Rights: what Crossplane needs to create what Vellum composes, and what people may do with claims.

The kinds come from the composed objects themselves, so a new component is never forgotten. Crossplane's own
ClusterRole aggregates every role with the label (crossplane v2.3.4, its chart's clusterrole.yaml).
"""

from __future__ import annotations

from collections import defaultdict

from vellum.api.claim import Claim, claim_spec
from vellum.api.platform import Platform, platform_spec
from vellum.components import platform_components, team_components
from vellum.compose import platform as platforms
from vellum.compose import team as teams
from vellum.compose.helm.records import COMPARED
from vellum.kube import names
from vellum.kube.objects import DOMAIN, Obj, make
from vellum.model.keys import DUMMY_SEED
from vellum.model.release import ReleaseComponent
from vellum.package.apis import CLAIM_PLURAL, PLATFORM_PLURAL

AGGREGATED = "rbac.crossplane.io/aggregate-to-crossplane"
_API = "rbac.authorization.k8s.io/v1"
_HAS = frozenset(
    {
        ("", "secrets"),
        ("", "serviceaccounts"),
        ("", "services"),
        ("", "configmaps"),
        ("apps", "deployments"),
        ("protection.crossplane.io", "clusterusages"),
        ("protection.crossplane.io", "usages"),
    }
)
"""Crossplane already holds rights on these."""
TEAM_OWNER = "vellum:claims-edit"
"""The role to make claims. It is not part of ``edit`` or ``admin``: a claim may use much of the cluster.

A platform engineer binds it by name. Earlier versions added it to both; applying the tree removes it."""
_READ = ["get", "list", "watch"]
_PROFILES = ("light", "standard")


def roles() -> list[Obj]:
    """Return the ClusterRoles."""
    return [
        make(_API, "ClusterRole", "vellum:compose", labels={AGGREGATED: "true"}, rules=_compose()),
        _for_people(TEAM_OWNER, CLAIM_PLURAL, [*_READ, "create", "delete", "patch", "update"]),
        _for_people("vellum:claims-view", CLAIM_PLURAL, _READ, joins="view"),
        _for_people("vellum:platform-view", PLATFORM_PLURAL, _READ, joins="view"),
    ]


def _for_people(name: str, plural: str, verbs: list[str], *, joins: str = "") -> Obj:
    labels = {f"rbac.authorization.k8s.io/aggregate-to-{joins}": "true"} if joins else None
    rules = [{"apiGroups": [DOMAIN], "resources": [plural], "verbs": verbs}]
    return make(_API, "ClusterRole", name, labels=labels, rules=rules)


def _compose() -> list[Obj]:
    by_group: dict[str, set[str]] = defaultdict(set)
    for obj in _objects():
        group, _, _version = obj["apiVersion"].rpartition("/")
        by_group[group].add(names.plural(obj["kind"]))
    rules: list[Obj] = []
    for group, resources in sorted(by_group.items()):
        wanted = sorted(name for name in resources if (group, name) not in _HAS)
        if wanted:
            rules.append({"apiGroups": [group], "resources": wanted, "verbs": ["*"]})
    return [
        *rules,
        *_looked_at(),
        # A team's Role has rights that Crossplane lacks; "*" above includes escalate and bind, explicit here.
        {"apiGroups": ["apiregistration.k8s.io"], "resources": ["apiservices"], "verbs": ["get", "list", "watch"]},
    ]


def _looked_at() -> list[Obj]:
    """Return the kinds that the release guard only reads: the kinds that charts make."""
    parts = [part for part in platform_components().values() if isinstance(part, ReleaseComponent)]
    kinds = {kind for part in parts for kind in part.custom} | set(COMPARED.values())
    by_group: dict[str, set[str]] = defaultdict(set)
    for kind in kinds:
        by_group[kind.api_version.rpartition("/")[0]].add(names.plural(kind.kind))
    return [
        {"apiGroups": [group], "resources": sorted(resources), "verbs": _READ}
        for group, resources in sorted(by_group.items())
    ]


def _objects() -> list[Obj]:
    switches = {part.switch: "enabled" for part in team_components().values() if part.switch}
    claim = Claim("team-a", "research", claim_spec().model_validate(switches))
    parts = {part.switch: "enabled" for part in platform_components().values() if part.switch}
    results: list[Obj] = []
    for profile in _PROFILES:
        platform = Platform(platform_spec().model_validate({"profile": profile, **parts}))
        results += platforms.everything(platform, DUMMY_SEED)
        results += teams.everything(claim, platform, DUMMY_SEED)
    return results
