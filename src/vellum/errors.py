"""One error for everything a user can meet: a code, what is wrong, where, and what to do next.

    VellumError
    ├── ClaimError       a file is not a valid claim or platform                        VEL1xx
    ├── ComposeError     a valid claim cannot be turned into objects                    VEL2xx
    ├── StoreError       the embedded control plane refuses or cannot read its state    VEL3xx
    ├── LaptopError      a process, port or file of the laptop                          VEL4xx
    ├── WorkloadError    ingest, search and the Qdrant stand-in                         VEL5xx
    ├── BindingError     `vellum.connect()` finds no usable binding                     VEL6xx
    ├── UsageError       the command line cannot do what the user asked                 VEL7xx
    ├── FunctionError    Crossplane's composition function cannot start or decide       VEL8xx
    └── BenchError       the bench cannot be built, started or stopped                  VEL9xx

Every code has a heading in docs/errors/, and a test compares both ways. Retired codes keep their heading.
"""

from __future__ import annotations


class VellumError(Exception):
    """The base of all errors: ``what`` is wrong, ``where``, and the ``fix`` to try next.

    ``str(error)`` is one line, ``<code>: <what> (<where>)``; the fix is shown on its own line by the CLI.
    """

    def __init__(self, code: str, what: str, *, where: str, fix: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.code}: {self.what} ({self.where})"

    def every(self) -> tuple[VellumError, ...]:
        """Return all errors that this one holds; a single error returns itself."""
        return (self,)

    def as_dict(self) -> dict[str, str]:
        """Return the error as plain data, for ``--output json`` and HTTP answers."""
        return {"code": self.code, "what": self.what, "where": self.where, "fix": self.fix}


class ClaimError(VellumError):
    """A file is not a valid claim or platform."""


class ComposeError(VellumError):
    """A valid claim cannot be turned into objects."""


class StoreError(VellumError):
    """The embedded control plane refuses a write or cannot read its state."""


class LaptopError(VellumError):
    """A process, port or file of the laptop is not in a usable state."""


class WorkloadError(VellumError):
    """Ingest, search or the Qdrant stand-in cannot do what the user asked."""


class BindingError(VellumError):
    """No usable binding was found."""


class UsageError(VellumError):
    """The command line cannot do what the user asked."""


class FunctionError(VellumError):
    """Crossplane's composition function cannot start or cannot decide."""


class BenchError(VellumError):
    """The bench cannot be built, started or stopped."""
