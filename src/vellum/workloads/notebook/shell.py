"""A terminal's shell with the team's binding as variables: ``python -P -m vellum.workloads.notebook.shell``.

Not a login shell, which Jupyter would start: /etc/profile would set another PATH.
"""

from __future__ import annotations

import os

from vellum.connect.sources import connect
from vellum.errors import BindingError

if __name__ == "__main__":
    try:
        os.environ.update(connect().as_env())
    except BindingError as error:
        print(error)  # noqa: T201  # the terminal that begins
    shell = os.environ.get("SHELL") or "/bin/sh"
    os.execvp(shell, [shell])  # noqa: S606  # a shell is what is wanted
