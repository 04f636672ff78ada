"""``python -m tests.charts.render``: render the real charts with Vellum's values, and see whether all is as we think.

What is not in the folder of charts is pulled from the registry that the component names. A folder may hold archives
that came another way; ``sources.yaml`` in it then says of each chart, by name, where it came from.
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import yaml
from tests.charts import facts, helm, images, keys, stand_ins
from tests.charts.facts import Facts
from tests.charts.helm import KUBERNETES, Helm
from tests.charts.keys import Keys
from tests.charts.record import KEPT, PAGE, SECRET_BYTES, Part, Record, StandIn, kept, page
from tests.charts.releases import Release, published

from vellum.bench import programs
from vellum.kube.objects import Obj
from vellum.model.release import Chart


def main() -> int:
    """Render, judge, and compare with what was found last, or write it down."""
    asked = _arguments()
    program = shutil.which("helm") or str(programs.ensure(_say)["helm"])
    folder: Path = asked.charts
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="helm-") as home:
            result, wrong = _looked(Helm(Path(program), Path(home)), folder, asked.date or "")
    except ValueError as error:
        _say(f"{error}\nAn archive that cannot be pulled may be put into {folder}: see docs/charts.md")
        return 2
    if not wrong and not asked.date:
        wrong = _changed(result)
    for line in wrong:
        sys.stdout.write(f"{line}\n")
    if wrong:
        return 1
    if asked.date:
        KEPT.write_text(result.text(), encoding="utf-8")
        PAGE.write_text(page(result), encoding="utf-8")
    _say(f"{len(result.parts)} charts are as expected")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.charts.render", description=(__doc__ or "").partition("\n")[0]
    )
    usual = programs.cache().parent / "charts"
    parser.add_argument("--charts", type=Path, default=usual, help=f"the folder of archives; by default {usual}")
    parser.add_argument(
        "--date",
        type=lambda text: date.fromisoformat(text).isoformat(),
        help="write down what is found, as of this day, in tests/charts/found.yaml and docs/charts.md",
    )
    return parser.parse_args()


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")


def _looked(program: Helm, folder: Path, day: str) -> tuple[Record, list[str]]:
    parts, wrong = [], []
    with tempfile.TemporaryDirectory(prefix="vellum-charts-") as scratch:
        for release in published():
            _say(f"rendering {release.name}")
            part, faults = _part(release, program, folder, Path(scratch))
            parts.append(part)
            wrong += [f"{release.name}: {fault}" for fault in faults]
    return Record(day, program.version, list(KUBERNETES), parts), wrong


def _part(release: Release, program: Helm, folder: Path, scratch: Path) -> tuple[Part, list[str]]:
    chart = release.chart
    archive, source = _archive(chart, program, folder)
    objects, made, faults = _rendered(release, program, archive)
    defaults = helm.default_values(archive)
    does = keys.of(
        release.values, defaults, lambda values: program.rendered(archive, release.name, release.namespace, values)
    )
    size = helm.record_bytes(archive, objects, release.values)
    faults += [
        *_of_chart(chart, archive),
        *_of_component(release, objects),
        *_of_pods(release, made),
        *_of_values(does),
    ]
    if size > SECRET_BYTES:
        faults.append(f"Helm's record would have {size} bytes; a Secret may have {SECRET_BYTES}")
    differences = stand_ins.of(release, made, does, program, scratch)
    if differences:
        faults += [*differences.faults, *stand_ins.defaults(release, defaults)]
    stand_in = StandIn(differences.lacks, differences.ignores) if differences else None
    where = asdict(chart)
    return Part(
        release.name,
        release.profiles,
        where,
        source,
        release.namespace,
        release.pod_security,
        release.values,
        does,
        made,
        size,
        stand_in,
    ), faults


def _archive(chart: Chart, program: Helm, folder: Path) -> tuple[Path, str]:
    """Return the chart's archive, pulled now if it is not there, and where it came from."""
    archive, notes = folder / f"{chart.name}-{chart.version}.tgz", folder / "sources.yaml"
    sources: dict[str, str] = yaml.safe_load(notes.read_text(encoding="utf-8")) if notes.exists() else {}
    if not archive.exists():
        program.pull(chart, folder)
        sources[chart.name] = "there"
        notes.write_text(yaml.safe_dump(sources), encoding="utf-8")
    return archive, sources.get(chart.name, "an archive of unknown origin")


def _rendered(release: Release, program: Helm, archive: Path) -> tuple[list[Obj], Facts, list[str]]:
    """Render for every Kubernetes, and as an upgrade, which is what a repair is."""

    def render(*flags: str, kubernetes: str) -> list[Obj]:
        return program.rendered(archive, release.name, release.namespace, release.values, *flags, kubernetes=kubernetes)

    everywhere = [render(kubernetes=version) for version in KUBERNETES]
    apart = helm.apart(archive)
    made = [facts.of(objects, release.namespace, apart) for objects in everywhere]
    faults = [
        f"is other on Kubernetes {version} than on {KUBERNETES[-1]}"
        for version, item in zip(KUBERNETES, made, strict=True)
        if item != made[-1]
    ]
    upgraded = facts.of(render("--is-upgrade", kubernetes=KUBERNETES[-1]), release.namespace, apart)
    # Istio leaves the policies of its webhooks to istiod after the first time.
    if replace(upgraded, webhooks=[]) != replace(made[-1], webhooks=[]):
        faults.append("an upgrade makes other objects than an installation")
    return everywhere[-1], made[-1], faults


def _of_chart(chart: Chart, archive: Path) -> Iterator[str]:
    text = yaml.safe_load(helm.files(archive)["Chart.yaml"])
    if (text["name"], text["version"]) != (chart.name, chart.version):
        yield f"the archive holds {text['name']} {text['version']}"


def _of_component(release: Release, objects: list[Obj]) -> Iterator[str]:
    """Yield where the component does not say what its chart makes."""
    component = release.component
    yield from (f"`custom` lacks {kind}" for kind in facts.custom(objects) - {*component.custom})
    yield from (
        f"`custom` names {kind}, of which there is none" for kind in {*component.custom} - facts.custom(objects)
    )
    yield from (
        f"`serves` names {kind}, which the chart does not bring" for kind in {*component.serves} - facts.served(objects)
    )
    yield from (f"the guard does not look at {kind}" for kind in facts.unguarded(objects))
    text, result = {images.line(image) for image in component.images}, {*images.of(objects)}
    yield from (f"`images` lacks {line}" for line in sorted(result - text))
    yield from (f"`images` names {line}, which the chart does not" for line in sorted(text - result))


def _of_pods(release: Release, made: Facts) -> Iterator[str]:
    yield from (f"Service {service}" for service in made.services if "selects no workload" in service)
    passes = not any(made.pod_security.values())
    if release.pod_security == "restricted" and not passes:
        yield f"Pod Security restricted refuses {made.pod_security}"
    if release.pod_security != "restricted" and passes:
        yield f"the namespace enforces {release.pod_security}, and need not"


def _of_values(does: Keys) -> Iterator[str]:
    yield from (f"the value {path} does nothing" for path in does.nothing)


def _changed(result: Record) -> list[str]:
    """Return how what is found differs from what was found last, apart from when and with which Helm."""
    last = kept()
    same = replace(
        result,
        date=last.date,
        helm=last.helm,
        parts=[replace(part, source="", record_bytes=0) for part in result.parts],
    )
    before = replace(last, parts=[replace(part, source="", record_bytes=0) for part in last.parts])
    return list(
        difflib.unified_diff(
            before.text().splitlines(), same.text().splitlines(), "found last", "found now", lineterm="", n=1
        )
    )


if __name__ == "__main__":
    sys.exit(main())
