"""The state directory of one installation (0700, one writer) and its content.

.vellum              the mark: without it Vellum deletes nothing
secrets/NS/NAME/KEY  Secrets as a kubelet mounts them
data/NS/NAME         volumes and services
logs/NAME.log        the output of the processes
pki/                 this installation's own certificate authority
ports.json, processes.json
supervisor.json      which process holds the installation, and where its sockets are

``laptop/folders.py`` lists what a laptop adds.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from vellum.connect.installation import MARK
from vellum.errors import LaptopError
from vellum.host import reaper, records
from vellum.host.files import read_json, write, write_json

FILES = (MARK, *records.PARSERS)
FOLDERS = ("secrets", "data", "logs", "pki")
"""Entries with these names are checked before any file is opened: opening a pipe can wait forever."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What an installation has in its state directory beside the entries that every supervisor needs."""

    files: tuple[str, ...] = ()
    records: records.Parsers = field(default_factory=dict)
    """Those of the files that can be derived anew."""


PLAIN = Layout()


@dataclass(frozen=True, slots=True)
class Holder:
    """The supervisor that holds an installation, as it recorded itself."""

    pid: int
    runtime: Path


@dataclass(frozen=True, slots=True)
class State:
    """Paths of one installation."""

    root: Path

    @classmethod
    def open(cls, root: Path, layout: Layout = PLAIN) -> State:
        """Create or check the state directory.

        Raises:
            LaptopError: the directory belongs to another user, is readable by others, holds other things, or cannot be
                created (VEL401).
        """
        try:
            root.mkdir(parents=True, mode=0o700, exist_ok=True)
            _check(root, (*FILES, *layout.files))
            if not (root / MARK).exists():
                words = "This directory belongs to Vellum; `vellum down --delete-data` removes it.\n"
                write(root / MARK, words, durable=True)
        except OSError as cause:
            raise _not_ours(root, f"cannot be used: {cause.strerror}") from cause
        return cls(root)

    @property
    def store(self) -> Path:
        """The store's file."""
        return self.root / "store.db"

    @property
    def processes(self) -> Path:
        """The record of running children, which the reaper reads."""
        return self.root / "processes.json"

    def log(self, process: str) -> Path:
        """Return the log file of a process."""
        return self.root / "logs" / f"{process}.log"

    def secrets(self, namespace: str) -> Path:
        """Return the folder of a namespace's mounted Secrets."""
        return self.root / "secrets" / namespace

    def data(self, namespace: str, name: str) -> Path:
        """Return the folder of a volume or service."""
        return self.root / "data" / namespace / name

    def hold(self) -> None:
        """Record that this process holds the installation; it already has the lock on the mark."""
        record = {"pid": os.getpid(), "started": reaper.started(os.getpid()), "runtime": str(self._new_runtime())}
        write_json(self._holder, record)

    def holder(self) -> Holder | None:
        """Return the supervisor that holds the installation; None if there is none, or it is not recorded yet."""
        record = records.supervisor(read_json(self._holder, {}))
        lives = record and reaper.started(record["pid"]) == record["started"]
        return Holder(record["pid"], Path(record["runtime"])) if lives else None

    @property
    def _holder(self) -> Path:
        return self.root / "supervisor.json"

    @property
    def runtime(self) -> Path:
        """The short private folder for sockets. Their paths have at most 107 bytes; a state directory's may have more.

        While a supervisor runs, it is the folder that the supervisor chose: a shell by ssh or cron has another
        XDG_RUNTIME_DIR.
        """
        holder = self.holder()
        return holder.runtime if holder else self._new_runtime()

    def _new_runtime(self) -> Path:
        base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:10]
        return Path(base) / f"vellum-{os.getuid()}-{digest}"

    def open_runtime(self) -> Path:
        """Create the runtime folder.

        Raises:
            LaptopError: it cannot be created, or another user's folder has that name (VEL401).
        """
        path = self.runtime
        try:
            path.mkdir(mode=0o700, exist_ok=True)
        except OSError as cause:
            raise _not_private(path, f"cannot be made: {cause.strerror}") from cause
        self.check_runtime()
        return path

    def check_runtime(self) -> None:
        """Check that only this user can use the runtime folder: below /tmp every user can create one of its name.

        Raises:
            LaptopError: it belongs to another user, or others can use it (VEL401).
            FileNotFoundError: it does not exist.
        """
        if wrong := _wrong(self.runtime):
            raise _not_private(self.runtime, wrong)

    def clear_runtime(self) -> None:
        """Remove a supervisor's and its services' files from the runtime folder: sockets, and pages for a browser."""
        for path in self.runtime.glob("*"):
            if path.is_socket() or path.suffix == ".html":
                path.unlink(missing_ok=True)

    @property
    def socket(self) -> Path:
        """The socket on which the supervisor listens for commands."""
        return self.runtime / "control.sock"

    def delete(self) -> None:
        """Remove everything, if the mark of Vellum exists; the mark goes last, so that this can be repeated."""
        if not (self.root / MARK).exists():
            return
        runtimes = {self._new_runtime(), self._last_runtime()}
        for path in self.root.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != MARK:
                path.unlink()
        try:
            shutil.rmtree(self.root)
        except OSError as error:
            # A mount point cannot be removed; it is empty now.
            if error.errno != errno.EBUSY:
                raise
        for runtime in runtimes:
            shutil.rmtree(runtime, ignore_errors=True)

    def _last_runtime(self) -> Path:
        """Return the runtime folder of the last supervisor; a path that Vellum cannot have chosen is ignored."""
        new = self._new_runtime()
        last = Path(records.supervisor(read_json(self._holder, {})).get("runtime", new))
        return last if last.name == new.name else new


def _check(path: Path, files: tuple[str, ...]) -> None:
    if wrong := _wrong(path):
        raise _not_ours(path, wrong)
    # A first start that was killed leaves an unfinished mark, which is Vellum's as well.
    if not (path / MARK).exists() and any(_strange(entry) for entry in path.iterdir()):
        raise _not_ours(path, "holds other things")
    for names, is_one, word in ((files, Path.is_file, "file"), (FOLDERS, Path.is_dir, "folder")):
        for entry in (path / name for name in names):
            if os.path.lexists(entry) and not is_one(entry):
                raise LaptopError(
                    "VEL418",
                    f"this must be a {word} of Vellum, and is not a {word}",
                    where=str(entry),
                    fix=f"move it away: mv {shlex.quote(str(entry))} {shlex.quote(f'{path}.{entry.name}')}",
                )


def _wrong(path: Path) -> str:
    """Return why other users can use a folder, as a verb phrase; empty if only this user can."""
    info = path.lstat()
    if not stat.S_ISDIR(info.st_mode):
        return "is not a directory"
    if info.st_uid != os.getuid():
        return "belongs to another user"
    return f"can be read by others (mode {stat.S_IMODE(info.st_mode):o})" if info.st_mode & 0o077 else ""


def _strange(entry: Path) -> bool:
    return not entry.name.startswith(f".{MARK}.")


def _not_ours(path: Path, why: str) -> LaptopError:
    fix = "set VELLUM_STATE (for the bench VELLUM_BENCH) to a new path, or `chmod 700` a directory of your own"
    return LaptopError("VEL401", f"the state directory {why}", where=str(path), fix=fix)


def _not_private(path: Path, why: str) -> LaptopError:
    fix = "set XDG_RUNTIME_DIR to a folder of your own with mode 700"
    return LaptopError("VEL401", f"the folder of the sockets {why}", where=str(path), fix=fix)
