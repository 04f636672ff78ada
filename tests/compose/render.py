"""The golden files: every case composed until it settles, five as whole objects, the others as differences.

``python -m tests.compose.render`` prints them all without touching a file or a socket while it composes.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping

import yaml
from tests.compose.world import HEAD, PLATFORMS, World, given, settled_platform, written

from vellum.components import platform_components, team_components
from vellum.model.state import Composed
from vellum.model.team import Team

CLAIM = HEAD + "kind: MLOpsPlatform\nmetadata: {name: research, namespace: team-a}\n"
SWITCHED_ON = "\n".join(f"  {part.switch}: enabled" for part in team_components().values() if part.switch)
EVERYTHING = f"""spec:
  owner: ada@example.org
  costCenter: "4711"
  size: small
{SWITCHED_ON}
  notebook: {{storage: 7Gi}}
  search: {{replicas: 2}}
  vectors: {{storage: 11Gi}}
  artifacts: {{quota: 12Gi}}
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
BASES = {
    **{f"claim-{name}-local": "claim-full-local" for name in CLAIMS if name != "full"},
    "claim-full-external": "claim-full-light",
    "platform-external-light": "platform-light",
}
"""The other cases are whole files: claim and platform, on a laptop and on Crossplane, with both profiles."""
GIVEN = [given("artifacts"), given(Team("team-a", "research", "").id)]
"""Only an external store asks for them."""


def worlds() -> dict[str, World]:
    """Return one fresh world per case."""
    return {
        name: World(written(text), settled_platform(PLATFORMS[profile]) if profile else None, foreign=[*GIVEN])
        for name, text, profile in CASES
    }


def rendered(composed: Composed) -> str:
    """Return the objects, then conditions and status, as one YAML stream."""
    parts = [
        f"# {name}\n{yaml.safe_dump(desired.obj, sort_keys=True, width=1000)}"
        for name, desired in composed.objects.items()
    ]
    messages = {
        "conditions": [
            {"type": entry.type, "status": entry.status, "reason": entry.reason} for entry in composed.conditions
        ],
        "ready": composed.ready,
        "requirements": {
            name: " ".join(filter(None, (asked.api_version, asked.kind, asked.namespace, asked.name)))
            for name, asked in composed.requirements.items()
        },
        "status": composed.status,
    }
    return "---\n".join(
        [*parts, f"# conditions, requirements and status\n{yaml.safe_dump(messages, sort_keys=True, width=1000)}"]
    )


def golden(name: str) -> str:
    """Return the name of a case's golden file."""
    return f"{name}.diff" if name in BASES else f"{name}.yaml"


def goldens(worlds: Mapping[str, World]) -> dict[str, str]:
    """Return the content of every golden file by its name: whole objects, or the difference from another case."""
    texts = {name: rendered(world.settle()) for name, world in worlds.items()}
    whole = {golden(name): text for name, text in texts.items() if name not in BASES}
    return whole | {golden(name): _difference(base, texts[base], texts[name]) for name, base in BASES.items()}


def _difference(name: str, base: str, text: str) -> str:
    """Return how ``text`` differs from ``base``: the list of objects, then each object that is new or changed.

    Only one text has this difference, so comparing differences compares whole answers.
    """
    before, after = _sections(base), _sections(text)
    lines = [f"# differs from {name} in these objects", *_changes(list(before), list(after), context=0)]
    for title, section in after.items():
        changes = _changes(before.get(title, []), section, context=2)
        lines += [title, *changes] if changes else []
    return "\n".join(lines) + "\n"


def _sections(text: str) -> dict[str, list[str]]:
    sections = (part.splitlines() for part in text.split("---\n"))
    return {title: lines for title, *lines in sections}


def _changes(before: list[str], after: list[str], context: int) -> list[str]:
    return list(difflib.unified_diff(before, after, n=context, lineterm=""))[2:]


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
    for name, text in goldens(prepared).items():
        sys.stdout.write(f"=== {name}\n{text}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
