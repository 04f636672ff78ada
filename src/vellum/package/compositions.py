"""The two Compositions, and the function that both of them call."""

from __future__ import annotations

from collections.abc import Iterable

from vellum.api import claim, platform
from vellum.components import platform_components, team_components
from vellum.compose import prerequisites
from vellum.compose.entry import PLATFORM
from vellum.kube.objects import Kind, Obj, make
from vellum.model.component import Wish
from vellum.model.keys import DUMMY_SEED, SEED, SEED_SECRET
from vellum.model.platform import PlatformFacts
from vellum.model.release import SYSTEM
from vellum.model.state import Observed, Requirement
from vellum.package.apis import CLAIM_COMPOSITION, PLATFORM_COMPOSITION

FUNCTION = "function-vellum"
METRICS_PORT = 8080


def compositions(function_name: str = FUNCTION) -> list[Obj]:
    """Return both Compositions, which call the Function of this name with the objects that every pass needs."""
    facts = PlatformFacts("standard")
    teams = (kind for part in team_components().values() for kind in part.kinds_asked(facts))
    parts = platform_components().values()
    platforms = _once(kind for part in parts for kind in part.kinds_asked(facts))
    own = {
        f"{part.name}/{name}": asked
        for part in parts
        for name, asked in part.requires(Wish(part.spec(), facts, DUMMY_SEED, Observed())).items()
    }
    return [
        _composition(
            CLAIM_COMPOSITION, claim.XR_KIND, function_name, {"platform": PLATFORM, **prerequisites.questions(teams)}
        ),
        _composition(PLATFORM_COMPOSITION, platform.KIND, function_name, {**own, **prerequisites.questions(platforms)}),
    ]


def _once(kinds: Iterable[Kind]) -> list[Kind]:
    return sorted(set(kinds))


def _composition(name: str, kind: str, function_name: str, known: dict[str, Requirement]) -> Obj:
    step = {
        "step": "compose",
        "functionRef": {"name": function_name},
        "credentials": [{"name": SEED, "source": "Secret", "secretRef": {"namespace": SYSTEM, "name": SEED_SECRET}}],
        "requirements": {"requiredResources": [_selector(*entry) for entry in sorted(known.items())]},
    }
    spec = {"compositeTypeRef": {"apiVersion": claim.API_VERSION, "kind": kind}, "mode": "Pipeline", "pipeline": [step]}
    return make("apiextensions.crossplane.io/v1", "Composition", name, spec=spec)


def _selector(name: str, wanted: Requirement) -> Obj:
    return {"requirementName": name, "apiVersion": wanted.api_version, "kind": wanted.kind, "name": wanted.name}


def function(package: str) -> list[Obj]:
    """Return the Function and its runtime; ``package`` is its image, with registry and digest or tag."""
    container = {
        "name": "package-runtime",
        "args": [f"--metrics-address=0.0.0.0:{METRICS_PORT}"],
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
        "readinessProbe": {"tcpSocket": {"port": 9443}, "periodSeconds": 5},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    pod = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    # Two, so that one answers while the other moves to another node.
    deployment = {"spec": {"replicas": 2, "selector": {}, "template": {"spec": pod}}}
    runtime = make(
        "pkg.crossplane.io/v1beta1", "DeploymentRuntimeConfig", FUNCTION, spec={"deploymentTemplate": deployment}
    )
    spec = {"package": package, "runtimeConfigRef": {"name": FUNCTION}}
    return [runtime, make("pkg.crossplane.io/v1", "Function", FUNCTION, spec=spec)]
