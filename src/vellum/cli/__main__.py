"""``python -m vellum.cli``: the same as ``vellum``."""

from __future__ import annotations

from vellum.cli.main import main

if __name__ == "__main__":
    main()
