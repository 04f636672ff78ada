"""The limits that this shell gives to its processes, and the least that the platform needs of each."""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass

from vellum.errors import LaptopError

KIBIBYTE = 1024


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: what is counted, the shell's switch, its unit there, and the least with which everything runs."""

    name: str
    number: int
    switch: str
    unit: int
    least: int


LIMITS = (
    # A notebook, the store, the gateway and the supervisor have 60 to 150 open files each, and one per connection.
    Limit("open files", resource.RLIMIT_NOFILE, "-n", 1, 512),
    # SeaweedFS reserves 1.6 GiB and does not start with 1; a model server with its libraries reserves more.
    Limit("KiB of address space", resource.RLIMIT_AS, "-v", KIBIBYTE, 4 * KIBIBYTE**3),
    Limit("KiB of data", resource.RLIMIT_DATA, "-d", KIBIBYTE, 4 * KIBIBYTE**3),
    # A volume of SeaweedFS grows to 64 MiB and a little more; a vector collection has files of its own size.
    Limit("KiB in one file", resource.RLIMIT_FSIZE, "-f", KIBIBYTE, 256 * KIBIBYTE**2),
    # The supervisor runs for days, and the kernel kills a process that has used up its processor time.
    Limit("seconds of processor time", resource.RLIMIT_CPU, "-t", 1, 24 * 3600),
    # Threads count as processes. Root has no such limit.
    Limit("processes and threads", resource.RLIMIT_NPROC, "-u", 1, 512),
)


def check() -> None:
    """Refuse to start on limits that are too low; raise the limit of open files as far as allowed.

    Raises:
        LaptopError: a limit is too low (VEL423).
    """
    for limit in LIMITS:
        soft, hard = resource.getrlimit(limit.number)
        if _is_enough(soft, limit.least):
            continue
        if limit.number == resource.RLIMIT_NOFILE and _is_enough(hard, limit.least):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(limit.number, (hard, hard))
                continue
        current, least = soft // limit.unit, limit.least // limit.unit
        raise LaptopError(
            "VEL423",
            f"the limit of {limit.name} is {current}, and Vellum needs {least}",
            where=f"this shell: ulimit {limit.switch}",
            fix=_fix(limit, hard),
        )


def _is_enough(value: int, least: int) -> bool:
    return value == resource.RLIM_INFINITY or value >= least


def _fix(limit: Limit, hard: int) -> str:
    if _is_enough(hard, limit.least):
        allowed = "unlimited" if hard == resource.RLIM_INFINITY else hard // limit.unit
        return f"run `ulimit -S {limit.switch} {allowed}` in this shell, then the command again"
    return (
        f"use a shell with a higher limit: the hard limit is {hard // limit.unit} too. Raise it where the "
        "shell is started (/etc/security/limits.conf before a new login, or the service's unit)"
    )
