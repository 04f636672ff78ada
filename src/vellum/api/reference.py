"""``python -m vellum.api.reference DIR`` writes DIR/claim.md: all fields of both kinds, all keys of the binding."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from vellum.api import claim, platform
from vellum.api.envelope import LIVE
from vellum.api.loader import STANDARD_INPUT
from vellum.api.schema import Field, explain
from vellum.components import team_components

NAME = "claim.md"
_HEAD = f"""<!-- Written by `python -m vellum.api.reference docs/reference`; edit the models in src/vellum instead. -->
# The two objects, field by field

A team writes `{claim.KIND}`, a platform engineer `{platform.KIND}`. `vellum explain PATH` prints the same for one
field, `vellum validate FILE` checks a file, a folder, or standard input (`{STANDARD_INPUT}`).

Files are YAML or JSON, read strictly. Unknown fields, anchors, tags, repeated names, and words that YAML readers
disagree on (`on`, `012`, `12:30`, dates) are refused, with the line, the field and what to write instead. Everything
has a default except `metadata.name`, images and the endpoint of an object store. A laptop needs only the name.
"""
_EXAMPLES = {
    claim.KIND: """apiVersion: platform.vellum.dev/v1alpha1
kind: MLOpsPlatform
metadata:
  name: research
  namespace: team-a
spec:
  notebooks: enabled
""",
    platform.KIND: """apiVersion: platform.vellum.dev/v1alpha1
kind: KubeflowPlatform
metadata:
  name: kubeflow
spec:
  profile: local
""",
}
_TAIL = f"""
## Accepted and ignored

Vellum accepts these fields and ignores them, so that you can apply what a control plane prints. A claim without
`metadata.uid`, which is a claim that a person wrote, may not have Crossplane's own fields (VEL125):

- `status`, and in `metadata`: {", ".join(f"`{name}`" for name in sorted(LIVE))}.
- in `spec`, Crossplane's own fields: {", ".join(f"`{name}`" for name in sorted(claim.CROSSPLANE_FIELDS))}.
"""


def reference() -> str:
    """Return the whole page as Markdown."""
    return _HEAD + "".join(_kind(kind) for kind in (claim.KIND, platform.KIND)) + _binding() + _TAIL


def _binding() -> str:
    rows = "\n".join(
        f"| `{bound.name}` | {bound.meaning} | {part.name} |"
        for part in team_components().values()
        for bound in part.binds
    )
    return f"\n## The keys of the binding\n\n| key | meaning | part |\n|---|---|---|\n{rows}\n"


def _kind(kind: str) -> str:
    top = explain(kind)
    rows = "\n".join(_row(kind, field) for field in _documented(top))
    return (
        f"\n## {kind}\n\n{top.description}.\n\n```yaml\n{_EXAMPLES[kind]}```\n\n"
        f"| field | type | default | meaning | example |\n|---|---|---|---|---|\n{rows}\n"
    )


def _documented(top: Field) -> Iterator[Field]:
    return (field for field in top.leaves() if field.path.count(".") > 1)


def _row(kind: str, field: Field) -> str:
    name = field.path.removeprefix(f"{kind}.")
    default = "required" if field.required else _code(field.default)
    words = (f"`{name}`", field.type.replace(" | ", ", "), default, field.description, _code(field.example))
    return f"| {' | '.join(words)} |"


def _code(value: object) -> str:
    if value is None:
        return ""
    text = json.dumps(value)
    # The digits of a digest tell the reader nothing and would make the column as wide as the page.
    return f"`{text.replace('0' * 64, '…')}`"


def main() -> None:
    """Write the page into the folder that the only argument names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
