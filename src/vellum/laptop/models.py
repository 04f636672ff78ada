"""Models that users serve themselves: InferenceServices that no component composed, run as KServe runs them."""

from __future__ import annotations

from vellum.components import team_components
from vellum.connect.binding import BINDING_SECRET
from vellum.kube.objects import Obj
from vellum.model.process import INFERENCE, MOST_BYTES, Probe, Process, Route, Running, Site
from vellum.model.training import INFERENCE_SERVICE


class Models:
    """Runs an InferenceService without a component's label as a KServe ModelServer on this machine."""

    name = "models"
    workload = INFERENCE_SERVICE
    ports = ("http",)
    twins: tuple[tuple[str, int], ...] = ()
    data = None

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
            explains=True,
        )

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status that KServe writes; it is the same for every InferenceService."""
        return team_components()["search"].status(obj, running)
