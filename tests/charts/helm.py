"""Helm without a cluster: charts pulled, rendered, and how large the record of a release would be."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from vellum.kube.objects import Obj, annotations_of
from vellum.model.release import Chart

HOOK = "helm.sh/hook"
KUBERNETES = ("1.32.0", "1.36.3")
"""The oldest version that Vellum supports, and the bench's."""


@dataclass(frozen=True, slots=True)
class Helm:
    """One Helm program; it reads no settings of this user."""

    program: Path
    home: Path
    """An empty folder, where it may write."""

    @property
    def version(self) -> str:
        """The version that it prints."""
        return self._run("version", "--template", "{{ .Version }}")

    def pull(self, chart: Chart, folder: Path) -> None:
        """Fetch a chart from its project's registry."""
        if chart.repository.startswith("oci://"):
            where = [f"{chart.repository}/{chart.name}"]
        else:
            where = [chart.name, "--repo", chart.repository]
        self._run("pull", *where, "--version", chart.version, "--destination", str(folder))

    def lint(self, archive: Path) -> None:
        """Look for what Helm thinks is wrong with a chart.

        Raises:
            ValueError: it is; its words.
        """
        self._run("lint", str(archive), "--strict", "--kube-version", KUBERNETES[-1])

    def rendered(
        self, archive: Path, name: str, namespace: str, values: Obj, *flags: str, kubernetes: str = KUBERNETES[-1]
    ) -> list[Obj]:
        """Return everything that an installation makes, hooks and CRDs too.

        Raises:
            ValueError: Helm refuses; its words.
        """
        given = self.home / "values.json"
        given.write_text(json.dumps(values), encoding="utf-8")
        output = self._run(
            "template",
            name,
            str(archive),
            "--namespace",
            namespace,
            "--values",
            str(given),
            "--include-crds",
            "--skip-tests",
            "--kube-version",
            kubernetes,
            *flags,
        )
        return [item for item in yaml.load_all(output, yaml.CSafeLoader) if item]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.program), *arguments],
            env={"HOME": str(self.home), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if done.returncode:
            raise ValueError(f"helm {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def default_values(archive: Path) -> Obj:
    """Return the chart's own values. Istio hides them one level deeper and moves them up as it renders."""
    inside = files(archive)
    values: Obj = yaml.load(inside.get("values.yaml", b""), yaml.CSafeLoader) or {}
    hidden: Obj = values.get("_internal_defaults_do_not_set", values)
    return hidden


def files(archive: Path) -> dict[str, bytes]:
    """Return the chart's files by their path in it."""
    with tarfile.open(archive) as tar:
        results = {item.name.partition("/")[2]: tar.extractfile(item) for item in tar.getmembers() if item.isfile()}
        return {name: stream.read() for name, stream in results.items() if stream}


_APART = re.compile(r"(charts/[^/]+/)*crds/")
"""Where a chart keeps kinds that Helm installs once and does not count as the release's."""


def apart(archive: Path) -> set[tuple[str, str]]:
    """Return kind and name of the objects in crds/ of the chart or of a subchart: Helm never deletes those."""
    return _kinds(content for name, content in files(archive).items() if _APART.match(name))


def record_bytes(archive: Path, objects: list[Obj], values: Obj) -> int:
    """Return about how many bytes Helm's Secret of this release holds: chart, values and what was rendered.

    As Helm 3 writes it (pkg/storage/driver/util.go), but for the notes, which are a few hundred bytes. Charts below it
    are not in it (pkg/chart/chart.go: the JSON has no ``dependencies``), and files in crds/ are not in the manifest.
    """
    everything = files(archive)
    installed_once = apart(archive)
    objects = [obj for obj in objects if (obj["kind"], obj["metadata"]["name"]) not in installed_once]
    inside = {name: content for name, content in everything.items() if not name.startswith("charts/")}
    special = ("Chart.yaml", "values.yaml", "values.schema.json")
    plain = [name for name in sorted(inside) if name not in special]
    hooks = [obj for obj in objects if HOOK in annotations_of(obj)]
    record = {
        "chart": {
            "metadata": yaml.load(inside["Chart.yaml"], yaml.CSafeLoader),
            "templates": [_file(name, inside[name]) for name in plain if name.startswith("templates/")],
            "values": yaml.load(inside.get("values.yaml", b""), yaml.CSafeLoader),
            "schema": base64.b64encode(inside.get("values.schema.json", b"")).decode(),
            "files": [_file(name, inside[name]) for name in plain if not name.startswith("templates/")],
        },
        "config": values,
        "manifest": yaml.dump_all((obj for obj in objects if obj not in hooks), Dumper=yaml.CSafeDumper),
        "hooks": [{"manifest": yaml.dump(hook, Dumper=yaml.CSafeDumper)} for hook in hooks],
    }
    return len(base64.b64encode(gzip.compress(json.dumps(record).encode(), 9)))


def _kinds(files: Iterable[bytes]) -> set[tuple[str, str]]:
    result = (item for content in files for item in yaml.load_all(content, yaml.CSafeLoader) if item)
    return {(item["kind"], item["metadata"]["name"]) for item in result}


def _file(name: str, content: bytes) -> Obj:
    return {"name": name, "data": base64.b64encode(content).decode()}
