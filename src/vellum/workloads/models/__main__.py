"""Serve a model: ``python -m vellum.workloads.models --http_port=N --model_name=NAME --model=KEY``."""

from __future__ import annotations

import argparse
import sys

from vellum.errors import VellumError
from vellum.workloads.models import installed


def main() -> None:
    """Wait for the model, then serve it."""
    parser = argparse.ArgumentParser(description="Serve a model of scikit-learn from the team's bucket")
    parser.add_argument("--http_port", type=int, default=8080)
    parser.add_argument("--model_name", required=True, help="what it is called in requests")
    parser.add_argument("--model", required=True, metavar="KEY", help="where it is in the team's bucket")
    arguments = parser.parse_args()
    # kserve parses sys.argv itself when it is imported; it configures logging unless told not to.
    sys.argv = [sys.argv[0], "--configure_logging=false", "--enable_latency_logging=false", "--enable_grpc=false"]
    try:
        # The imports below take seconds.
        installed.check()
        from vellum.workloads.models.server import SkopsModel
        from vellum.workloads.models.store import awaited
        from vellum.workloads.serving import serve

        model = SkopsModel(arguments.model_name, awaited(arguments.model))
    except VellumError as error:
        sys.exit(f"{error}; {error.fix}")
    serve(model, arguments.http_port)


if __name__ == "__main__":
    main()
