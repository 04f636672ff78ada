"""Describe what a deletion removes, and ask for confirmation. All output goes to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_ISDIR

import click

from vellum.cli import teams, watching
from vellum.components.notebook import HOME
from vellum.connect.installation import state_root
from vellum.errors import UsageError, VellumError
from vellum.host.state import State
from vellum.kube import names
from vellum.kube.objects import Key, Obj
from vellum.model.team import STORAGE_NAMESPACE, VECTORS_NAMESPACE, Team
from vellum.objectstore.seaweed import STORE
from vellum.reports import team as report

COUNTED_SECONDS = 3.0
"""Limit for counting a bucket's objects or a folder's files; after it the count is printed as a minimum."""


def agree(question: str, what: str, *, yes: bool, where: str = "this installation") -> None:
    """Ask for confirmation, unless ``yes`` is true.

    Raises:
        UsageError: no terminal is attached to ask on (VEL712).
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("VEL712", f"{what}, but no terminal is attached to confirm it", where=where, fix="pass --yes")
    click.confirm(question, abort=True, err=True)


def tell(lines: Iterable[str]) -> None:
    """Print what the deletion removes and what it keeps."""
    for line in lines:
        click.echo(line, err=True)


def place(obj: Obj) -> str:
    """Return ``namespace/name``."""
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


def of_a_team(claim: Obj, made: list[Obj]) -> list[str]:
    """Return lines with what deleting the claim removes and leaves on this machine, with sizes."""
    state, meta = State(state_root()), claim["metadata"]
    team = Team(meta["namespace"], meta["name"], "")
    own = (item for item in made if item["metadata"]["namespace"] == team.namespace and watching.is_a_persons(item))
    sizes = {
        report.NOTEBOOK_HOME: _folder(state.data(team.namespace, HOME)),
        report.VECTORS: _folder(state.data(VECTORS_NAMESPACE, f"data-{team.qdrant}-0")),
        report.BUCKET: _bucket(place(claim)),
        "namespace": ", ".join(f"{item['kind']} {item['metadata']['name']}" for item in own),
    }
    return report.fate_lines(report.fates(claim, laptop=True), sizes)


def of_a_workload(key: Key) -> list[str]:
    """Return lines with what deleting a TrainJob or an InferenceService removes and leaves."""
    folder = State(state_root()).data(key.namespace, f"{key.kind.lower()}-{key.name}")
    return [
        f"  goes   {key.kind} {key.name}  its processes and its folder: {_folder(folder)}",
        "  stays  what it stored in the bucket",
    ]


def of_everything(state: State) -> list[str]:
    """Return lines with what deleting the installation removes."""
    known = teams.known()
    own = [Team(namespace, name, "") for namespace, _, name in (claim.rpartition("/") for claim in known)]
    return [
        *([f"  goes   all data of the teams: {', '.join(known)}"] if known else []),
        *(["  goes   data of teams that were deleted before"] if _earlier(state, own) else []),
        f"  goes   the object store and all other data; all data together: {_folder(state.root / 'data')}",
        "  goes   the seed, from which every key is derived",
    ]


def _earlier(state: State, known: list[Team]) -> bool:
    """Return whether a folder or a volume of the object store belongs to a team that no longer has a claim."""
    homes = {path.parent.name for path in state.root.glob(f"data/*/{HOME}")}
    vectors = {path.name for path in state.data(VECTORS_NAMESPACE, "").glob("data-*-0")}
    # SeaweedFS names a volume BUCKET_NUMBER.dat. A team's bucket ends with a hash; the platform's own bucket does not.
    volume = f"{names.bucket_name('*')}-{'?' * names.HASH_LENGTH}_*.dat"
    volumes = state.data(STORAGE_NAMESPACE, f"seaweed-{STORE}").glob(f"data/{volume}")
    buckets = {path.name.rpartition("_")[0] for path in volumes}
    left = (
        homes - {team.namespace for team in known},
        vectors - {f"data-{team.qdrant}-0" for team in known},
        buckets - {team.bucket for team in known},
    )
    return any(left)


def size(count: float) -> str:
    """Return a number of bytes as text with a unit."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:  # noqa: PLR2004  # the step between two units
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _folder(path: Path) -> str:
    deadline, files, used = time.monotonic() + COUNTED_SECONDS, 0, 0
    for blocks in _blocks(path):
        files, used = files + 1, used + blocks * 512
        if time.monotonic() > deadline:
            return f"more than {files} files, {size(used)}"
    return f"{files} {'file' if files == 1 else 'files'}, {size(used)}" if files else "nothing in it"


def _blocks(path: Path) -> Iterator[int]:
    """Yield the number of disk blocks of every file below a folder; skip files that disappear during the count."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(path):
            with contextlib.suppress(OSError):
                info = entry.stat(follow_symlinks=False)
                if S_ISDIR(info.st_mode):
                    yield from _blocks(Path(entry.path))
                else:
                    yield info.st_blocks


def _bucket(team: str) -> str:
    """Return the number and size of the objects in the team's bucket, or why they are not known."""
    from vellum.connect.sources import connect

    try:
        binding = connect(team).require("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "VELLUM_BUCKET")
    except VellumError as error:
        return f"its size is not known: {error.what}"
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    deadline, count, total = time.monotonic() + COUNTED_SECONDS, 0, 0
    try:
        impatient = Config(connect_timeout=2, read_timeout=COUNTED_SECONDS, retries={"total_max_attempts": 1})
        client = binding.s3(impatient)
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=binding.VELLUM_BUCKET):
            for content in page.get("Contents", ()):
                count, total = count + 1, total + content["Size"]
            if time.monotonic() > deadline:
                return f"more than {count} objects, {size(total)}"
    except (BotoCoreError, ClientError) as error:
        return f"its size is not known: {type(error).__name__}"
    return f"{count} {'object' if count == 1 else 'objects'}, {size(total)}"
