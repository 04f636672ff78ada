"""Check whether the object store can create a volume for each of its buckets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from vellum.errors import LaptopError
from vellum.host.room import NEEDED, room, size


def without_volume(folder: Path, buckets: Iterable[str]) -> LaptopError | None:
    """Return the error of a store that cannot create a volume for one of its buckets, None if it can.

    SeaweedFS reserves the rest of every volume. So a disk that is far from full may have no room for a new bucket, or
    for a bucket whose volumes are full, and SeaweedFS answers 500 (measured on weed 4.48).
    """
    volumes = _volumes(folder)
    kept = sum(max(0, NEEDED - length) for length in volumes.values())
    usable = {name.rpartition("_")[0] for name, length in volumes.items() if length < NEEDED}
    without = sorted(set(buckets) - usable)
    if not without or not folder.is_dir() or room(folder).free - kept >= NEEDED:
        return None
    return LaptopError(
        "VEL419",
        f"the object store has no room for a new volume of bucket {', '.join(without)}: {size(NEEDED)} are "
        f"needed beside the {size(kept)} that it keeps for its {len(volumes)} volumes",
        where=str(room(folder)),
        fix="make room on that disk; the bucket then accepts writes again",
    )


def _volumes(folder: Path) -> dict[str, int]:
    """Return the size of each volume by its name, BUCKET_NUMBER.

    SeaweedFS can remove a file of a deleted bucket between listing and reading.
    """
    sizes = {}
    for path in folder.glob("*.dat"):
        if path.stem.rpartition("_")[2].isdigit():
            with contextlib.suppress(FileNotFoundError):
                sizes[path.stem] = path.stat().st_size
    return sizes
