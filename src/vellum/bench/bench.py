"""The whole bench: starts the programs in order, applies the rendered tree, and adds stand-ins for missing controllers.

Of Vellum, the bench applies only the output of `vellum render`; it creates the seed as an installation does.
"""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from pathlib import Path

from vellum.bench import admission, base_objects, charts, packages, registry
from vellum.bench.machine import STAGES
from vellum.bench.stages import FIX, FUNCTION_PYTHON, Stages, clock
from vellum.bench.standins import NOTEBOOKS, FunctionRuntime, Kubelet, VolumeStandIn
from vellum.cluster.api import Api
from vellum.cluster.install import Installation
from vellum.cluster.store import KubeStore, wait_for
from vellum.components import platform_components
from vellum.controlplane.manager import Manager, Reconciles
from vellum.errors import BenchError
from vellum.host import pki, wheels
from vellum.host.files import write
from vellum.host.ports import Ports
from vellum.host.state import State
from vellum.kube.objects import Key, current
from vellum.laptop.seaweed_controller import SeaweedController, shell
from vellum.laptop.workloads import WorkloadController
from vellum.model.platform import PLATFORM
from vellum.model.process import Process, Site
from vellum.model.release import PROVIDER, SYSTEM
from vellum.model.team import STORAGE_NAMESPACE
from vellum.package.tree import read

LOG = logging.getLogger(__name__)
IDLE_SECONDS = 0.5
_FRONT_PORT = f"deployment/{STORAGE_NAMESPACE}/s3/http"
_BEFORE_KINDS = 2
"""The stages that need no object on the API server."""


class Bench(Stages):
    """The bench with stand-ins for nodes and operators."""

    def __init__(self, state: State, programs: dict[str, Path], tree: Path) -> None:
        """Prepare everything that needs no process.

        Args:
            state: the bench's own directory.
            programs: the paths that ``programs.ensure`` returned.
            tree: the folder that ``vellum render`` wrote.

        Raises:
            BenchError: the function's environment is missing (VEL904).
        """
        if not FUNCTION_PYTHON.exists():
            what = "the function's own environment is missing"
            raise BenchError("VEL904", what, where=str(FUNCTION_PYTHON), fix="run `make setup`")
        state.open_runtime()
        super().__init__(state, programs, Ports(state.root / "ports.json"))
        self._tree = tree
        self._managers: list[Manager[KubeStore]] = []
        self._asked = threading.Event()
        self._started = False
        self._workloads: WorkloadController | None = None

    @property
    def s3(self) -> str:
        """The address of the front of the real SeaweedFS; composed objects call it s3.vellum-storage.svc."""
        return f"http://127.0.0.1:{self.ports.get(_FRONT_PORT)}"

    def install(self) -> None:
        """Apply the rendered tree once more, in the background."""
        self._asked.set()
        self.ready = False
        if self._started:
            self.error = None

    def _start(self) -> None:
        """Start everything; then apply the tree, now and at each request."""
        self._attempt(self._stages)
        api = Api(self.kubeconfig, agent="vellum-bench", fix=FIX) if self._started else None
        self._asked.set()
        while api and not self._stop.is_set():
            if self._asked.wait(IDLE_SECONDS):
                self._asked.clear()
                self._attempt(self._installed, api)

    def _stages(self) -> None:
        programs = self.machine.programs
        self._clients()
        write(self.machine.directory("kwok") / "stages.yaml", base_objects.stages(programs["kwok-stages"]))
        # provider-helm does not pull a chart twice, and the charts may have changed.
        shutil.rmtree(self.machine.directory("provider-helm"), ignore_errors=True)
        for names in STAGES[:_BEFORE_KINDS]:
            self._stage(names)
        self._charts()
        api = Api(self.kubeconfig, agent="vellum-bench", fix=FIX)
        self._apply(api, base_objects.kinds(programs["crossplane-crds"]))
        crossplane = registry.template(
            programs["helm"], programs["crossplane-chart"], "crossplane", SYSTEM, base_objects.chart_values()
        )
        self._apply(api, base_objects.base(crossplane, self.machine.registry))
        self._apply(api, admission.policies(self.machine.charts))
        authority, port = self.certificates.authority.read_bytes(), self.machine.port("crossplane-webhooks")
        self._apply(api, base_objects.webhooks(programs["crossplane-webhooks"], port, authority))
        self._report("kinds and rights are applied")
        for names in STAGES[_BEFORE_KINDS:]:
            self._stage(names)
        kubeconfig = self.certificates.kubeconfig("provider-helm").read_text()
        api.apply(admission.credentials(kubeconfig), manager="vellum-bench")
        self._work(api)
        self._started = True

    def _charts(self) -> None:
        served = charts.served(self.machine.programs)
        registry.push(self.machine.programs["helm"], served, self.machine.directory("charts"), self.machine.charts)
        packages.publish(self.machine.programs, self.machine.directory("packages"), self.machine.registry)
        self._report(f"{len(served)} charts and the packages are published")

    def _work(self, api: Api) -> None:
        """Start the stand-ins, with a real SeaweedFS for the object store's kinds; each works on its own thread."""
        pki.ensure(self.state.root / "pki", clock())
        programs = wheels.programs()
        storage = platform_components()["storage"]
        self._workloads = WorkloadController(self.state, self.ports, self.supervisor, [storage], programs)
        seaweed = SeaweedController(shell(self.state, self.ports, programs["weed"]), self._poke)
        kserve = Kubelet(self.supervisor, self.machine.process("kserve"), "kserve", "kserve-controller-manager")
        front = Kubelet(self.supervisor, self._front(), STORAGE_NAMESPACE, "s3")
        provider = Kubelet(self.supervisor, self.machine.process(PROVIDER), SYSTEM, f"{PROVIDER}-*")
        endpoint = f"localhost:{self.machine.port('function')}"
        shown = self.certificates.pair("function")[0].read_text()
        function = FunctionRuntime(self.supervisor, self.machine.process("function"), endpoint, shown)
        controllers: list[Reconciles[KubeStore]] = [
            provider,
            function,
            NOTEBOOKS,
            kserve,
            front,
            VolumeStandIn(),
            self._workloads,
            seaweed,
        ]
        self._managers = [
            Manager(KubeStore(api, controller.kinds, clock), [], [controller], clock) for controller in controllers
        ]
        for manager, item in zip(self._managers, controllers, strict=True):
            self._thread(item.name, manager.run, self._stop)

    def _front(self) -> Process:
        """Return the store's front as the laptop runs it; it restarts until the store's key is mounted."""
        site = Site(
            directory=self.state.data(STORAGE_NAMESPACE, "deployment-s3"),
            secrets=self.state.secrets(STORAGE_NAMESPACE),
            ports={"http": self.ports.get(_FRONT_PORT)},
            python=sys.executable,
            runtime=self.state.runtime,
        )
        return platform_components()["storefront"].process({}, site)

    def _installed(self, api: Api) -> None:
        """Apply the tree as `vellum install` does, and wait for the platform; a bare bench has none."""
        if files := read(self._tree):
            Installation(api, files, self._stop.is_set).run(LOG.info)
            self._report("everything that was rendered is applied")
            wait_for(lambda: self._stop.is_set() or self._platform_ready(api), 300, "the platform's readiness", FIX)
            self._report("the platform is ready")
        self.ready = not self._asked.is_set()

    def _platform_ready(self, api: Api) -> bool:
        platforms, _ = api.list(PLATFORM.gvk)
        return bool(platforms) and all((current(item, "Ready") or {}).get("status") == "True" for item in platforms)

    def _changed(self, process: str) -> None:
        key = self._workloads.key_of(process) if self._workloads else None
        if key is not None:
            self._poke(key)

    def _poke(self, key: Key) -> None:
        for manager in self._managers:
            if manager.works_on(key.gvk):
                manager.watch.poke(key)
