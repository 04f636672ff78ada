"""The team's Jupyter notebook: Kubeflow's own kind, with the binding mounted and Pipelines reachable."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vellum.components.access import SERVICE_ACCOUNT
from vellum.connect.binding import BINDING_SECRET
from vellum.kube.objects import KEEP_FOLDER, RESTRICTED_POD, Kind, Obj, make, secret, secret_env, secret_env_all
from vellum.model import origins
from vellum.model.component import Data, Page, Policy, Size, Spec, TeamComponent, TeamWish
from vellum.model.process import Probe, Process, Route, Running, Site
from vellum.model.rotation import ENVIRONMENT, mark
from vellum.model.team import KUBEFLOW_NAMESPACE, MESH_NAMESPACE
from vellum.model.types import Storage

NOTEBOOK = "notebook"
"""The controller fills the status only if the first container has the Notebook's own name."""
TOKEN_SECRET = "notebook-token"  # noqa: S105  # a name, not a secret
HOME = "notebook-workspace"
"""Name of the volume claim. It must not change: a laptop finds the notebook's home by it."""
BINDING_PATH = "/var/run/secrets/vellum/binding"
_MOST_BYTES = 64 * 1024 * 1024
"""Bytes of a request to JupyterLab, which sends larger files in parts of one MiB."""
_RESOURCES: dict[Size, Obj] = {
    "small": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
    "medium": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "8Gi"}},
    "large": {"requests": {"cpu": "4", "memory": "16Gi"}, "limits": {"cpu": "8", "memory": "32Gi"}},
}


class NotebookSpec(Spec):
    """The claim's ``notebook`` block."""

    storage: Annotated[
        Storage, Field(description="The size of the notebook's home; it cannot change later", default="5Gi")
    ]


class NotebookComponent(TeamComponent[NotebookSpec]):
    """The Notebook, its home volume and the token that opens it."""

    name = "notebook"
    summary = "The team's own JupyterLab, with a home for its files and packages"
    spec = NotebookSpec
    block = "notebook"
    switch = "notebooks"
    # A notebook uses memory all day, so this part is off by default.
    default = "disabled"
    keeps_size = "the home keeps its {}: its size cannot change later"
    needs = ("namespace", "access")
    kinds = (Kind("kubeflow.org/v1", "Notebook"),)
    operators = ("notebook-controller",)
    keeps = ("notebook-home",)
    holders = ("notebook",)
    rotates = "restarts: kernels end, files stay; its address gets a new token"
    means = (
        ("notebooks", "disabled: the notebook's server is deleted, its home stays; enabled: it is made"),
        ("notebook.storage", "a home keeps the size with which it was made"),
    )
    data = Data("the notebook's home", in_namespace=True)
    page = Page("notebook", "lab?token={token}", TOKEN_SECRET, "token")
    expendable = True
    image = "notebook"
    workload = kinds[0]
    ports = ("http",)
    actor = "the notebook controller"

    def objects(self, wish: TeamWish[NotebookSpec]) -> dict[str, Obj]:
        """Return the Notebook and its other objects."""
        namespace, labels = wish.team.namespace, wish.labels(self.name)
        volume = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": _storage(wish)}}}
        token = {"token": wish.seed.token("notebook", wish.team.id, wish.keys.using)}
        return {
            "notebook-token": secret(TOKEN_SECRET, namespace, token, labels=labels),
            "notebook-home": make(
                "v1", "PersistentVolumeClaim", HOME, namespace, labels=labels, annotations=_kept(wish), spec=volume
            ),
            "notebook": make(
                "kubeflow.org/v1",
                "Notebook",
                NOTEBOOK,
                namespace,
                labels={**labels, "app": NOTEBOOK},
                annotations=_annotations(wish),
                spec={"template": {"spec": _pod(wish)}},
            ),
        }

    def kept_size(self, wish: TeamWish[NotebookSpec]) -> str:
        """Return the volume's size if the claim asks for another; else empty."""
        size = _storage(wish)
        return "" if size == wish.detail.storage else size

    def endpoints(self, wish: TeamWish[NotebookSpec]) -> dict[str, str]:
        """Return the address for a browser."""
        return {"notebook": wish.platform.notebook_url(wish.team, NOTEBOOK)}

    def policy(self, wish: TeamWish[NotebookSpec]) -> Policy:
        """Allow the mesh's gateway, and the notebook controller at the port where its culler asks for kernels.

        Culling still does not work: the culler sends no token, this notebook requires one, and the culler takes a
        refusal for an idle notebook. It would stop busy notebooks too, so culling stays off.
        """
        del wish
        controller = {"app": "notebook-controller"}
        return Policy(ingress=((KUBEFLOW_NAMESPACE, controller, 8888), (MESH_NAMESPACE, {}, 8888)))

    def process(self, obj: Obj, site: Site) -> Process:
        """Run JupyterLab; the token comes in the environment, because every local user can read argv."""
        namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
        port, prefix = site.ports["http"], origins.notebook_path(namespace, name)
        host = origins.notebook_host(namespace, name)
        work, private = site.directory / "work", site.directory / "jupyter"
        argv = (
            site.python,
            "-P",
            "-m",
            "vellum.workloads.notebook",
            "--no-browser",
            "--allow-root",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.base_url={prefix}",
            f"--ServerApp.root_dir={work}",
            "--LabApp.news_url=",
            "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            "--LabApp.extension_manager=readonly",
            # Jupyter checks Host itself. By default it accepts half a gigabyte before it checks the token.
            "--ServerApp.local_hostnames=localhost",
            f"--ServerApp.local_hostnames={host}",
            f"--ServerApp.max_body_size={_MOST_BYTES}",
            f"--ServerApp.max_buffer_size={_MOST_BYTES}",
            "--IdentityProvider.cookie_options=samesite=Lax",
        )
        env = {
            **site.env,
            "HOME": str(work),
            "IPYTHONDIR": str(private / "ipython"),
            "JUPYTER_CONFIG_DIR": str(private / "config"),
            "JUPYTER_DATA_DIR": str(private / "data"),
            "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
            "VELLUM_BINDING_DIR": str(site.secrets / BINDING_SECRET),
            "VELLUM_ENVIRONMENT": str(site.directory / "environment"),
            "VELLUM_PYTHONPATH": str(site.connect),
        }
        return Process(
            name=f"notebook-{namespace}",
            argv=argv,
            directory=work,
            env=env,
            priority=0,
            # The probe has no token: another program may own the port, and would get the token.
            probe=Probe(port, f"{prefix}api"),
            routes=(Route(prefix, port, host=host, most_bytes=_MOST_BYTES),),
        )

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status as the notebook controller mirrors it from the pod."""
        del obj
        ready = {"type": "Ready", "status": "True" if running.ready else "False"}
        if not running.ready:
            ready["message"] = running.message
        return {"readyReplicas": int(running.ready), "conditions": [ready]}


def _storage(wish: TeamWish[NotebookSpec]) -> str:
    """Return the size of the existing home: most storage classes forbid a resize, and a refused one ends the pass."""
    home = wish.observed.resources.get("notebook-home")
    size = home["spec"]["resources"]["requests"]["storage"] if home else wish.detail.storage
    return str(size)


def _kept(wish: TeamWish[NotebookSpec]) -> dict[str, str]:
    """Return the annotation that tells a laptop to keep or remove the folder; a cluster needs the namespace instead."""
    return {} if wish.platform.crossplane else {KEEP_FOLDER: "yes" if wish.keep_data else "no"}


def _annotations(wish: TeamWish[NotebookSpec]) -> dict[str, str]:
    creator = {"notebooks.kubeflow.org/creator": wish.owner} if wish.owner else {}
    return {"notebooks.kubeflow.org/server-type": "jupyter", **creator, **mark(wish.keys.using)}


def _pod(wish: TeamWish[NotebookSpec]) -> Obj:
    token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 7200, "audience": "pipelines.kubeflow.org"}}
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {**RESTRICTED_POD, "runAsUser": 1000, "fsGroup": 100},
        "containers": [
            {
                "name": NOTEBOOK,
                "image": wish.platform.images["notebook"],
                "env": _env(wish),
                # Optional, like the volume. Later keys appear in the volume, and in the variables of the next pod.
                "envFrom": [secret_env_all(BINDING_SECRET, optional=True)],
                "resources": _RESOURCES[wish.size],
                # The Jupyter image writes below / at start, so its root file system cannot be read-only.
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [
                    {"name": "workspace", "mountPath": "/home/jovyan"},
                    {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108  # in the pod
                    {"name": "binding", "mountPath": BINDING_PATH, "readOnly": True},
                    {"name": "pipelines-token", "mountPath": "/var/run/secrets/kubeflow/pipelines", "readOnly": True},
                ],
            }
        ],
        "volumes": [
            {"name": "workspace", "persistentVolumeClaim": {"claimName": HOME}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
            # Optional: the notebook starts before the first key works, and the kubelet adds keys later.
            {"name": "binding", "secret": {"secretName": BINDING_SECRET, "optional": True}},
            {"name": "pipelines-token", "projected": {"sources": [token]}},
        ],
    }


def _env(wish: TeamWish[NotebookSpec]) -> list[Obj]:
    env = [secret_env("JUPYTER_TOKEN", TOKEN_SECRET, "token"), {"name": "VELLUM_BINDING_DIR", "value": BINDING_PATH}]
    if wish.keys.using > 1:
        # The controller passes on changes of the pod's spec, but not of its annotations
        # (CopyStatefulSetFields in notebooks 1.11).
        env.append({"name": ENVIRONMENT, "value": str(wish.keys.using)})
    if wish.platform.pipelines_endpoint:
        env.append({"name": "KF_PIPELINES_ENDPOINT", "value": wish.platform.pipelines_endpoint})
        env.append({"name": "KF_PIPELINES_SA_TOKEN_PATH", "value": "/var/run/secrets/kubeflow/pipelines/token"})
    return env


component = NotebookComponent()
