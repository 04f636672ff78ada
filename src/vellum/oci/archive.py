"""Write archives whose bytes depend on their content only.

zlib and its forks compress the same bytes differently, and Python links whichever the machine has. So nothing is
compressed here: a file from a wheel keeps the compressed stream of the wheel, and any other file is stored. Each stream
is its own gzip member, as in eStargz; gzip, Go and containerd read the members as one stream.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

EPOCH = 315532800
"""1980-01-01: the first time that every archive format accepts."""
_BLOCK, _STORED = 512, 0xFFFF
_FILE, _LINK, _FOLDER, _PAX = b"0", b"2", b"5", b"x"
_NAME, _PREFIX = 100, 155


def epoch() -> int:
    """Return the time of every entry: ``SOURCE_DATE_EPOCH``, or 1980."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(given) if given.isascii() and given.isdigit() else EPOCH


@dataclass(frozen=True, slots=True)
class Deflated:
    """A raw DEFLATE stream, and the size and CRC-32 of what it holds."""

    stream: bytes
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class File:
    """A file; ``read`` is called when it is written."""

    read: Callable[[], bytes | Deflated]
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that needs its own mode or owner; the folders above each file are added with 0755."""

    mode: int = 0o755
    owner: int = 0


Entry = File | Link | Folder


@dataclass(frozen=True, slots=True)
class Written:
    """The archive's digest and size, and the digest of the tar inside."""

    digest: str
    size: int
    diff_id: str


def plain(content: bytes, mode: int = 0o644) -> File:
    """Return a file with this content."""
    return File(lambda: content, mode)


def write(out: IO[bytes], entries: Mapping[str, Entry], *, folders: bool = True) -> Written:
    """Write a gzip of a tar; entries are sorted by path, and belong to root unless they name another owner.

    Args:
        out: the file to write to.
        entries: path without a leading slash to entry.
        folders: whether to add the folders above each entry.

    Raises:
        ValueError: a stream does not hold what its size and CRC promise.
    """
    every = {**_above(entries), **entries} if folders else dict(entries)
    archive, when = _Gzip(out), epoch()
    for path, entry in sorted(every.items()):
        if isinstance(entry, Link):
            archive.store(_headers(path, _Meta(_LINK, 0, 0o777, when), entry.target))
        elif isinstance(entry, Folder):
            archive.store(_headers(f"{path}/", _Meta(_FOLDER, 0, entry.mode, when, entry.owner)))
        else:
            content = entry.read()
            size = content.size if isinstance(content, Deflated) else len(content)
            archive.store(_headers(path, _Meta(_FILE, size, entry.mode, when)))
            archive.add(path, content)
            archive.store(bytes(-size % _BLOCK))
    archive.store(bytes(2 * _BLOCK))
    return archive.end()


def _above(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    results: dict[str, Entry] = {}
    for path in entries:
        parts = path.split("/")
        for end in range(1, len(parts)):
            results["/".join(parts[:end])] = Folder()
    return results


class _Gzip:
    """Writes gzip members, and hashes both what is written and what it holds."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._outside, self._inside = hashlib.sha256(), hashlib.sha256()
        self._size = 0
        self._waiting = bytearray()

    def store(self, content: bytes) -> None:
        self._waiting += content

    def add(self, path: str, content: bytes | Deflated) -> None:
        if isinstance(content, bytes):
            self.store(content)
            return
        self._flush()
        held = _inflated(path, content)
        self._member(content.stream, held, content.crc)

    def end(self) -> Written:
        self._flush()
        return Written(f"sha256:{self._outside.hexdigest()}", self._size, f"sha256:{self._inside.hexdigest()}")

    def _flush(self) -> None:
        held = bytes(self._waiting)
        if held:
            self._member(_stored(held), held, zlib.crc32(held))
            self._waiting.clear()

    def _member(self, stream: bytes, held: bytes, crc: int) -> None:
        # No name, no time, and an unknown system.
        for part in (b"\x1f\x8b\x08\0\0\0\0\0\0\xff", stream, struct.pack("<II", crc, len(held) & 0xFFFFFFFF)):
            self._out.write(part)
            self._outside.update(part)
            self._size += len(part)
        self._inside.update(held)


def _stored(content: bytes) -> bytes:
    """Return a DEFLATE stream of stored blocks."""
    blocks = []
    for start in range(0, len(content), _STORED):
        block = content[start : start + _STORED]
        last = start + _STORED >= len(content)
        blocks += [struct.pack("<BHH", last, len(block), len(block) ^ _STORED), block]
    return b"".join(blocks)


def _inflated(path: str, content: Deflated) -> bytes:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    held = stream.decompress(content.stream, content.size + 1)
    if not stream.eof or stream.unused_data or len(held) != content.size or zlib.crc32(held) != content.crc:
        raise ValueError(f"{path} is damaged")
    return held


@dataclass(frozen=True, slots=True)
class _Meta:
    """The fields of a header besides its names."""

    kind: bytes
    size: int
    mode: int
    when: int
    owner: int = 0


def _headers(path: str, meta: _Meta, link: str = "") -> bytes:
    """Return an entry's header, after a PAX header if a name does not fit."""
    name, prefix = _split(path.encode())
    target = link.encode()
    if name and len(target) <= _NAME:
        return _header(name, prefix, target, meta)
    records = _record("path", path) + (_record("linkpath", link) if link else b"")
    extended = _header(b"././@PaxHeader", b"", b"", _Meta(_PAX, len(records), 0o644, meta.when))
    short = _header(path.encode()[:_NAME], b"", target[:_NAME], meta)
    return extended + records + bytes(-len(records) % _BLOCK) + short


def _split(path: bytes) -> tuple[bytes, bytes]:
    """Return name and prefix for ustar, or two empty ones if the path does not fit or is not ASCII."""
    if not path.isascii():
        return b"", b""
    if len(path) <= _NAME:
        return path, b""
    at = path.find(b"/", len(path) - _NAME - 1, len(path) - 1)
    return (path[at + 1 :], path[:at]) if 0 < at <= _PREFIX else (b"", b"")


def _record(key: str, value: str) -> bytes:
    """Return a PAX record, which begins with its own length."""
    body = f" {key}={value}\n".encode()
    size = len(body)
    while len(str(size)) + len(body) != size:
        size = len(str(size)) + len(body)
    return str(size).encode() + body


def _header(name: bytes, prefix: bytes, link: bytes, meta: _Meta) -> bytes:
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (meta.mode, meta.owner, meta.owner, meta.size, meta.when)
    front = name.ljust(_NAME, b"\0") + numbers
    back = meta.kind + link.ljust(_NAME, b"\0") + b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0"
    back += prefix.ljust(_PREFIX, b"\0") + bytes(12)
    # The checksum counts its own field as spaces.
    total = sum(front) + sum(back) + 8 * ord(" ")
    return front + b"%06o\0 " % total + back
