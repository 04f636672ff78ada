"""Start the predictor: ``python -m vellum.workloads.search --http_port=N``."""

from __future__ import annotations

import argparse
import sys


def main() -> None:
    """Parse the port and serve."""
    parser = argparse.ArgumentParser(description="Answer questions from the team's documents")
    parser.add_argument("--http_port", type=int, default=8080)
    arguments = parser.parse_args()
    # kserve parses sys.argv itself when it is imported; it configures logging unless told not to.
    sys.argv = [sys.argv[0], "--configure_logging=false", "--enable_latency_logging=false", "--enable_grpc=false"]
    from vellum.workloads.search.server import serve

    serve(arguments.http_port)


if __name__ == "__main__":
    main()
