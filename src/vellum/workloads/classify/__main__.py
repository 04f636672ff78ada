"""Train, judge, store: ``python -m vellum.workloads.classify --model=models/documents.skops``."""

from __future__ import annotations

import argparse
import json
import sys

from vellum.errors import VellumError
from vellum.workloads.models import installed


def main() -> None:
    """Train on the team's passages; print the result as one line of JSON."""
    parser = argparse.ArgumentParser(description="Learn from which document of the team a passage is")
    parser.add_argument("--model", default="models/documents.skops", metavar="KEY", help="where it is stored")
    parser.add_argument("--held-out", type=float, default=0.2, metavar="PART", help="kept for the test")
    parser.add_argument("--seed", type=int, default=0, help="decides what is kept for the test")
    arguments = parser.parse_args()
    try:
        installed.check()
        from vellum.workloads.classify.train import run

        report = run(arguments.model, held_out=arguments.held_out, seed=arguments.seed)
    except VellumError as error:
        sys.exit(f"{error}; {error.fix}")
    print(json.dumps(report))  # noqa: T201  # the job's log


if __name__ == "__main__":
    main()
