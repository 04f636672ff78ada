"""The golden files: every case composed until it settles, all objects as YAML.

``python -m tests.compose.render`` prints them all without touching a file or a socket while it composes.
"""

from __future__ import annotations

import sys

import yaml
from tests.compose.world import HEAD, PLATFORMS, World, given, settled_platform, written

from vellum.components import platform_components, team_components
from vellum.model.state import Composed
from vellum.model.team import Team

CLAIM = HEAD + "kind: MLOpsPlatform\nmetadata: {name: research, namespace: team-a}\n"
EVERYTHING = """spec:
  owner: ada@example.org
  costCenter: "4711"
  size: small
  notebooks: enabled
  notebook: {storage: 7Gi}
  pipelines: enabled
  inference: enabled
  training: enabled
  search: {replicas: 2}
  vectors: {storage: 11Gi}
  artifacts: {quota: 12Gi}
  deletionPolicy: Retain
"""
CLAIMS = {
    "full": EVERYTHING,
    "minimal": "spec: {notebooks: enabled}\n",
    "no-notebook": "spec: {}\n",
    "bare": "spec: {pipelines: disabled, inference: disabled}\n",
    "medium": "spec: {size: medium, notebooks: enabled}\n",
    "large": "spec: {size: large, notebooks: enabled}\n",
    "delete": "spec: {deletionPolicy: Delete}\n",
}
CASES = (
    *((f"claim-{name}-local", CLAIM + spec, "local") for name, spec in CLAIMS.items()),
    ("claim-full-light", CLAIM + EVERYTHING, "light"),
    ("claim-full-external", CLAIM + EVERYTHING, "external"),
    ("platform-local", PLATFORMS["local"], ""),
    ("platform-light", PLATFORMS["light"], ""),
    ("platform-standard", PLATFORMS["standard"], ""),
    ("platform-external-light", PLATFORMS["external"], ""),
)
GIVEN = [given("artifacts"), given(Team("team-a", "research", "").id)]
"""Only an external store asks for them."""


def worlds() -> dict[str, World]:
    """Return one fresh world per case."""
    return {
        name: World(written(text), settled_platform(PLATFORMS[profile]) if profile else None, foreign=[*GIVEN])
        for name, text, profile in CASES
    }  # fmt: skip


def rendered(composed: Composed) -> str:
    """Return the objects, then conditions and status, as one YAML stream."""
    parts = [
        f"# {name}\n{yaml.safe_dump(desired.obj, sort_keys=True, width=1000)}" for name, desired in composed.objects.items()
    ]  # fmt: skip
    said = {
        "conditions": [{"type": entry.type, "status": entry.status, "reason": entry.reason} for entry in composed.conditions],
        "ready": composed.ready,
        "requirements": {
            name: " ".join(filter(None, (asked.api_version, asked.kind, asked.namespace, asked.name)))
            for name, asked in composed.requirements.items()
        },
        "status": composed.status,
    }  # fmt: skip
    return "---\n".join([*parts, f"# what is said\n{yaml.safe_dump(said, sort_keys=True, width=1000)}"])


def _no_io(event: str, arguments: object) -> None:
    if event.split(".", maxsplit=1)[0] in (
        "open",
        "socket",
        "subprocess",
        "os",
        "shutil",
        "sqlite3",
        "ctypes",
        "exec",
        "import",
    ):
        raise RuntimeError(f"compose did I/O: {event} {arguments!r}")


def main() -> None:
    """Print every case; the audit hook cannot be removed, and is added after the imports."""
    prepared = worlds()
    for world in prepared.values():
        world.look()
    assert team_components()
    assert platform_components()
    sys.addaudithook(_no_io)
    texts = {name: rendered(world.settle()) for name, world in prepared.items()}
    for name, text in texts.items():
        sys.stdout.write(f"=== {name}\n{text}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
