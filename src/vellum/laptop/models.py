"""Models that users serve themselves: InferenceServices that no component composed, run as KServe runs them."""

from __future__ import annotations

import re
from pathlib import Path

from vellum.components import team_components
from vellum.connect.binding import BINDING_SECRET
from vellum.host.log_tail import last_message
from vellum.kube.objects import Obj
from vellum.model.process import INFERENCE, MOST_BYTES, Probe, Process, Route, Running, Site
from vellum.model.training import INFERENCE_SERVICE

WAITS = "waits: "
"""The start of the log line in which a model server says why it does not serve yet (``workloads/models/store.py``)."""
_REFUSED = re.compile(r"\bVEL5[0-9]{2}: ")


def waits_for(log: Path) -> str:
    """Return why a model server is not ready, from its log; empty if the log does not say it."""
    said = last_message(log)
    if said.startswith(WAITS):
        return said.removeprefix(WAITS)
    refused = _REFUSED.search(said)
    return said[refused.start() :] if refused else ""


class Models:
    """Runs an InferenceService without a component's label as a KServe ModelServer on this machine."""

    name = "models"
    workload = INFERENCE_SERVICE
    ports = ("http",)
    twins: tuple[tuple[str, int], ...] = ()

    def process(self, obj: Obj, site: Site) -> Process:
        """Return the server that the runtime names; it is ready once the model is in the bucket and loaded."""
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        port = site.ports["http"]
        own = {"VELLUM_BIND": "127.0.0.1", "VELLUM_BINDING_DIR": str(site.secrets / BINDING_SECRET)}
        argv = (
            site.python,
            "-P",
            "-m",
            "vellum.workloads.models",
            f"--http_port={port}",
            f"--model_name={name}",
            *obj["spec"]["predictor"]["model"].get("args", ()),
        )
        return Process(
            name=f"model-{name}-{namespace}",
            argv=argv,
            directory=site.directory,
            env=own,
            env_from=(site.secrets / BINDING_SECRET,),
            probe=Probe(port, f"/v2/models/{name}/ready"),
            routes=(Route(f"/serving/{namespace}/{name}/", port, "/", served=INFERENCE, most_bytes=MOST_BYTES),),
        )

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status that KServe writes; it is the same for every InferenceService."""
        return team_components()["search"].status(obj, running)
