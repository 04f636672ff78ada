"""Fetch 16 real manuals as PDFs for the benchmarks: ``python -m benchmarks.corpus [DIR]``.

They come out of three Debian packages, which are downloaded and unpacked but not installed, so no rights are needed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path.home() / ".cache" / "vellum-bench"
_R, _OCTAVE, _GAP = "usr/share/R/doc/manual", "usr/share/doc/octave", "usr/share/gap/doc"
PACKAGES = {
    "octave-doc": {
        "octave.pdf": f"{_OCTAVE}/octave.pdf",
        "liboctave.pdf": f"{_OCTAVE}/liboctave.pdf",
        "refcard-a4.pdf": f"{_OCTAVE}/refcard-a4.pdf",
        "refcard-legal.pdf": f"{_OCTAVE}/refcard-legal.pdf",
        "refcard-letter.pdf": f"{_OCTAVE}/refcard-letter.pdf",
    },
    "r-doc-pdf": {
        f"{name}.pdf": f"{_R}/{name}.pdf"
        for name in ("R-FAQ", "R-admin", "R-data", "R-exts", "R-intro", "R-ints", "R-lang", "fullrefman")
    },
    "gap-doc": {
        "gap-ref.pdf": f"{_GAP}/ref/manual.pdf",
        "gap-tut.pdf": f"{_GAP}/tut/manual.pdf",
        "gap-hpc.pdf": f"{_GAP}/hpc/manual.pdf",
    },
}
"""Package: file name in the corpus: path in the package. GAP calls three of its files manual.pdf."""


def fetch(cache: Path = CACHE) -> list[Path]:
    """Return the 16 PDFs, which are in one folder below ``cache``; what is there already is not fetched again.

    Raises:
        subprocess.CalledProcessError: apt or dpkg refused; what they said is on stderr.
    """
    target = cache / "pdf"
    target.mkdir(parents=True, exist_ok=True)
    for package, files in PACKAGES.items():
        if not all((target / name).is_file() for name in files):
            _unpack(package, files, target)
    return sorted(target / name for files in PACKAGES.values() for name in files)


def _unpack(package: str, files: dict[str, str], target: Path) -> None:
    # In the target's own file system, so that a rename puts only whole files in place.
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        root = Path(scratch)
        # Root's apt would like to drop to a user who cannot write here, and says so each time.
        download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package]
        subprocess.run(download, cwd=root, check=True)
        subprocess.run(["dpkg", "-x", str(next(root.glob("*.deb"))), str(root / "tree")], check=True)
        for name, path in files.items():
            shutil.move(root / "tree" / path, target / name)


if __name__ == "__main__":
    fetched = fetch(Path(sys.argv[1])) if len(sys.argv) > 1 else fetch()
    print(f"{len(fetched)} PDFs in {fetched[0].parent}")
