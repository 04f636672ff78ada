"""Serve every ``NAME.skops`` of a folder with the server of Vellum's models: ``python several.py FOLDER PORT``."""

from __future__ import annotations

import sys
from pathlib import Path

folder, port = Path(sys.argv[1]), int(sys.argv[2])
# kserve parses sys.argv itself when it is imported.
sys.argv = [sys.argv[0], "--configure_logging=false", "--enable_latency_logging=false", "--enable_grpc=false"]

import kserve.model_server  # noqa: E402

from vellum.workloads.models import store  # noqa: E402
from vellum.workloads.models.server import SkopsModel  # noqa: E402
from vellum.workloads.serving import Server  # noqa: E402

kserve.model_server.RESTServer = Server
models = [SkopsModel(path.stem, store.read(path.read_bytes(), path.name)) for path in sorted(folder.iterdir())]
kserve.model_server.ModelServer(http_port=port, enable_grpc=False, workers=1, enable_latency_logging=False).start(
    models
)
