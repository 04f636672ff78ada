"""``vellum package charts``: archives of Vellum's own charts, for a user's registry."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from vellum.package.charts import OWN, version


def test_the_archives_suit_helm_push_and_are_reproducible(tmp_path: Path) -> None:
    """The bytes are the same each time."""
    names = [f"{name}-{version(name)}.tgz" for name in OWN]
    written = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        done = subprocess.run(
            [sys.executable, "-m", "vellum.cli", "package", "charts", folder],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines() == [str(folder / name) for name in names]
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]
    for name, archive in zip(OWN, names, strict=True):
        with tarfile.open(tmp_path / "one" / archive) as tar:
            assert {f"{name}/Chart.yaml", f"{name}/values.yaml", f"{name}/README.md"} <= set(tar.getnames())
