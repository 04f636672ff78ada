"""Compares the bench's stand-in of a chart with the real chart, as far as others can see the objects."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.charts import facts, keys
from tests.charts.facts import Facts
from tests.charts.helm import Helm
from tests.charts.keys import Keys
from tests.charts.releases import Release

from vellum.bench import chart, charts
from vellum.kube.objects import Obj
from vellum.package.charts import packed

SAME = ("workloads", "pods", "services", "kinds", "scalers", "custom")
LEFT_OUT = ("webhooks", "hooks")
"""No process on the bench could answer a webhook, or run a hook's Job."""


@dataclass(frozen=True, slots=True)
class Differences:
    """The parts that a stand-in omits on purpose, and its errors."""

    lacks: list[str] = field(default_factory=list)
    ignores: list[str] = field(default_factory=list)
    """Values without an effect on it."""
    faults: list[str] = field(default_factory=list)


def of(release: Release, real: Facts, does: Keys, helm: Helm, folder: Path) -> Differences | None:
    """Compare the stand-in with what the real chart made of the same values; None where the bench has the real one.

    Args:
        release: what is installed.
        real: what the real chart makes.
        does: what the values do in the real chart.
        helm: renders the stand-in.
        folder: where its archive may lie.
    """
    if release.chart.name in charts.REAL:
        return None
    (stand_in,) = (item for item in charts.STAND_INS if item.name == release.chart.name)
    archive = folder / "stand-in.tgz"
    archive.write_bytes(packed(stand_in.name, chart.files(stand_in)))

    def render(values: Obj) -> list[Obj]:
        return helm.rendered(archive, release.name, release.namespace, values)

    made = facts.of(render(release.values), release.namespace)
    here = keys.of(release.values, stand_in.values, render)
    lacks = sorted(
        line for name in (*LEFT_OUT, "others") for line in set(getattr(real, name)) - set(getattr(made, name))
    )
    ignores = sorted({*does.effect, *does.passed_on} & {*here.nothing})
    return Differences(lacks, ignores, list(_faults(release, real, made, stand_in.version)))


def _faults(release: Release, real: Facts, made: Facts, version: str) -> list[str]:
    result = [] if version == release.chart.version else [f"the stand-in is of {version}"]
    for name in SAME:
        theirs, ours = set(getattr(real, name)), set(getattr(made, name))
        result += [f"the stand-in lacks {line}" for line in sorted(theirs - ours)]
        result += [f"only the stand-in has {line}" for line in sorted(ours - theirs)]
    for name in (*LEFT_OUT, "others", "labels"):
        result += [
            f"only the stand-in has {line}" for line in sorted(set(getattr(made, name)) - set(getattr(real, name)))
        ]
    result += [
        f"Pod Security judges {name} otherwise in the stand-in: {faults or 'passes'}"
        for name, faults in made.pod_security.items()
        if bool(faults) != bool(real.pod_security.get(name))
    ]
    return result


def defaults(release: Release, real: Obj) -> list[str]:
    """Return the values whose default is another in the stand-in than in the real chart."""
    (stand_in,) = (item for item in charts.STAND_INS if item.name == release.chart.name)
    return [
        f"the stand-in's default of {'.'.join(path)} is {keys.at(stand_in.values, path)!r}, the chart's {keys.at(real, path)!r}"
        for path in keys.leaves(stand_in.values)
        if keys.at(stand_in.values, path) != keys.at(real, path)
    ]
