"""Archives whose bytes depend on their content only: read back by tar, gzip and zlib."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import zlib
from pathlib import Path

import pytest

from vellum.oci.archive import Deflated, Entry, File, Folder, Link, Written, plain, write

LONG = f"{'folder/' * 20}{'name' * 30}"
TEXT = b"the same words again and again\n" * 4000


def deflated(content: bytes) -> Deflated:
    coder = zlib.compressobj(wbits=-15)
    return Deflated(coder.compress(content) + coder.flush(), len(content), zlib.crc32(content))


ENTRIES: dict[str, Entry] = {
    "bin/program": plain(b"#!/bin/sh\n", 0o755),
    "bin/link": Link("program"),
    "empty": plain(b""),
    "home": Folder(0o700, 1000),
    "lib/text": File(lambda: deflated(TEXT)),
    LONG: plain(b"long"),
    "größe": plain(b"not ASCII"),
}


def written(path: Path, entries: dict[str, Entry]) -> Written:
    with path.open("wb") as out:
        return write(out, entries)


def test_tar_reads_every_entry_with_mode_and_owner(tmp_path: Path) -> None:
    written(tmp_path / "a.tar.gz", ENTRIES)
    argv: list[str | Path] = [
        "tar",
        "--list",
        "--verbose",
        "--numeric-owner",
        "--full-time",
        "--gzip",
        "--file",
        tmp_path / "a.tar.gz",
    ]
    listed = subprocess.run(argv, capture_output=True, text=True, check=True, env={"TZ": "UTC", "LC_ALL": "C.UTF-8"})
    rows = [" ".join(line.split()) for line in listed.stdout.splitlines() if "folder/" not in line]
    when = "1980-01-01 00:00:00"
    assert rows == [
        f"drwxr-xr-x 0/0 0 {when} bin/",
        f"lrwxrwxrwx 0/0 0 {when} bin/link -> program",
        f"-rwxr-xr-x 0/0 10 {when} bin/program",
        f"-rw-r--r-- 0/0 0 {when} empty",
        f"-rw-r--r-- 0/0 9 {when} größe",
        f"drwx------ 1000/1000 0 {when} home/",
        f"drwxr-xr-x 0/0 0 {when} lib/",
        f"-rw-r--r-- 0/0 {len(TEXT)} {when} lib/text",
    ]
    subprocess.run(["tar", "--extract", "--file", tmp_path / "a.tar.gz", "--directory", tmp_path], check=True)
    assert (tmp_path / LONG).read_bytes() == b"long"
    assert (tmp_path / "lib/text").read_bytes() == TEXT


def test_the_digests_are_those_of_the_archive_and_of_the_tar_inside(tmp_path: Path) -> None:
    made = written(tmp_path / "a.tar.gz", ENTRIES)
    outside = (tmp_path / "a.tar.gz").read_bytes()
    assert made.digest == f"sha256:{hashlib.sha256(outside).hexdigest()}"
    assert made.size == len(outside)
    assert made.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(outside)).hexdigest()}"


def test_the_same_entries_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    backwards = dict(reversed(ENTRIES.items()))
    assert written(tmp_path / "a", ENTRIES) == written(tmp_path / "b", backwards)


def test_source_date_epoch_is_the_time_of_every_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    written(tmp_path / "a.tar.gz", {"a": plain(b"")})
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "--extract", "--file", "a.tar.gz", "--directory", "out"], cwd=tmp_path, check=True)
    assert (tmp_path / "out/a").stat().st_mtime == 86400


def test_a_damaged_stream_is_refused(tmp_path: Path) -> None:
    good = deflated(TEXT)
    bad = Deflated(good.stream, good.size, good.crc ^ 1)
    with pytest.raises(ValueError, match=r"^lib/text is damaged$"):
        written(tmp_path / "a", {"lib/text": File(lambda: bad)})
