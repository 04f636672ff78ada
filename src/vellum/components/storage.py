"""The object store: SeaweedFS by its operator's own kind, closed from the start.

Four holes decide the shape (measured on weed 4.48). Without any identity S3 is open to all, so a static admin comes
first. The filer's HTTP port serves every object, so HTTP is off. The volume server's HTTP port serves every block, so
it requires signed tokens. The gRPC ports check no keys, so they get mTLS or a NetworkPolicy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from vellum.kube.objects import DOMAIN, RESTRICTED_POD, Key, Kind, Obj, make, secret
from vellum.kube.patch import copied
from vellum.kube.usage import usage
from vellum.model.component import USAGE, Data, PlatformComponent, Spec, Wish
from vellum.model.process import Probe, Process, Running, Site
from vellum.model.release import RELEASE
from vellum.model.team import STORAGE_NAMESPACE
from vellum.objectstore.seaweed import API, STORE

WORKER_DISTANCE = 10_000
"""The worker inside ``weed mini`` dials the admin's port plus this, whatever ``-admin.port.grpc`` is. It cannot be
switched off. If nothing answers it logs that 26 times a minute, for ever (measured on weed 4.48)."""
ADMIN = "vellum-admin"
OPERATOR = "seaweedfs-operator"
FRONT = {"app.kubernetes.io/name": "vellum-s3"}
"""The pods of the front (``components/storefront.py``). Do not change it: a Deployment's selector is immutable."""
ADMIN_SECRET = "vellum-s3-admin"  # noqa: S105  # a name, not a secret
FRONT_SECRET = "vellum-s3-front"  # noqa: S105  # the same


class StorageComponent(PlatformComponent[Spec]):
    """Namespace ``vellum-storage``, the Seaweed store, its admin identity, its address and its network policies."""

    name = "storage"
    summary = "The object store of all buckets"
    backends = ("seaweedfs",)
    kinds = (Kind(API, "Seaweed"), Kind(API, "AdminScript"), USAGE)
    after = (OPERATOR,)
    image = "seaweedfs"
    data = Data("buckets", "the object store with every bucket")
    workload = Kind(API, "Seaweed")
    ports = ("s3", "filer", "master", "volume", "admin", "s3-grpc", "filer-grpc", "master-grpc", "volume-grpc")
    twins = (("admin", WORKER_DISTANCE),)
    actor = "the object store's operator"

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        """Return the store and everything that keeps it closed."""
        labels = wish.labels(self.name)
        restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
        signing = {f"jwt-{use}": wish.seed.token(f"seaweed-jwt-{use}", STORE) for use in ("read", "write")}
        front = _identity(wish, "vellum-front", "Read", "Write", "List")
        identities = [_identity(wish, ADMIN, "Admin", "Read", "Write", "List", "Tagging"), front]
        admin = {"s3.json": _file(identities), **signing}
        fronted = _fronted(wish)
        made = {
            "storage-namespace": make("v1", "Namespace", STORAGE_NAMESPACE, labels={**labels, **restricted}),
            "storage-admin": secret(ADMIN_SECRET, STORAGE_NAMESPACE, admin, labels=labels),
            "storage-front": secret(FRONT_SECRET, STORAGE_NAMESPACE, {"s3.json": _file([front])}, labels=labels),
            "storage-store": make(API, "Seaweed", STORE, STORAGE_NAMESPACE, labels=labels,
                                  spec=_store(wish.platform.images["seaweedfs"], identities)),
            # The operator sets a bucket's quota, but weed enforces it only on command.
            "storage-quotas": make(API, "AdminScript", "quotas", STORAGE_NAMESPACE, labels=labels, spec={
                "clusterRef": {"name": STORE}, "schedule": "*/5 * * * *", "script": "s3.bucket.quota.enforce -apply",
            }),
            "storage-service": make("v1", "Service", "s3", STORAGE_NAMESPACE, labels=labels,
                                    spec=_service(fronted=fronted)),
            "storage-network": make("networking.k8s.io/v1", "NetworkPolicy", STORE, STORAGE_NAMESPACE, labels=labels,
                                    spec=_walls(fronted=fronted)),
        }  # fmt: skip
        if wish.platform.crossplane:
            made["storage-usage"] = usage(
                STORE,
                STORAGE_NAMESPACE,
                of=Key(RELEASE.api_version, RELEASE.kind, "", OPERATOR),
                by=Key.of(made["storage-store"]),
                reason="the operator manages the store",
                replay=True,
                labels=labels,
            )
        return made

    def process(self, obj: Obj, site: Site) -> Process:
        """Run ``weed mini``: master, volume, filer and S3 in one process; gRPC needs our certificates."""
        del obj
        ports, config = site.ports, site.directory / "config"
        grpc = {part: ports[f"{part}-grpc"] for part in ("s3", "filer", "master", "volume")}
        grpc["admin"] = ports["admin"] + WORKER_DISTANCE
        env = {
            # Its idle heap is 230 MB, most of it unused. With less, Go collects garbage constantly (0.2 cores).
            "GOMEMLIMIT": "400MiB",
            "GOGC": "50",
            "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
            "HOME": str(site.directory),
        }
        return Process(
            name="seaweed",
            argv=_argv(site, grpc),
            directory=site.directory / "data",
            env=env,
            files={config / "security.toml": _security(site)},
            # Any S3 answer means that S3 is up, signed or not; anonymous callers get 403. But S3 answers 500 to reads
            # and writes until the master knows the volume server: up to 5 s later (measured on weed 4.48).
            probe=Probe(
                ports["s3"],
                "/",
                ok=(200, 403),
                also=Probe(ports["master"], "/", says=f"127.0.0.1:{ports['volume']}/ui/index.html"),
            ),
            priority=2,
            ports=(grpc["admin"],),
        )

    def status(self, obj: Obj, running: Running) -> Obj:
        """Return the status as the operator writes it."""
        ready = {"type": "Ready", "status": "True" if running.ready else "False"}
        if not running.ready:
            ready["message"] = running.message
        return {"conditions": [ready], "observedGeneration": obj["metadata"]["generation"]}


def _argv(site: Site, grpc: Mapping[str, int]) -> tuple[str, ...]:
    return (
        site.programs["weed"],
        "-logtostderr=true",
        f"-config_dir={site.directory / 'config'}",
        "mini",
        f"-dir={site.directory / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{part}.port={site.ports[part]}" for part in grpc),
        *(f"-{part}.port.grpc={port}" for part, port in grpc.items()),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-disableHttp=true",
        # It posts to a telemetry host by default.
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        f"-s3.config={site.secrets / ADMIN_SECRET / 's3.json'}",
        f"-filer.localSocket={site.runtime / 'filer.sock'}",
        f"-s3.localSocket={site.runtime / 's3.sock'}",
    )


def _identity(wish: Wish[Spec], name: str, *actions: str) -> Obj:
    keys = {"accessKey": wish.seed.access_key(name), "secretKey": wish.seed.secret_key(name)}
    return {"name": name, "credentials": [keys], "actions": [*actions]}


def _file(identities: list[Obj]) -> str:
    return json.dumps({"identities": identities}, sort_keys=True)


def _security(site: Site) -> str:
    """Return security.toml: gRPC requires a certificate of this installation's authority, blocks a signed token."""
    tls = site.tls
    server = [f'cert = "{tls / "server.pem"}"', f'key = "{tls / "server.key"}"']
    sections = ["[grpc]", f'ca = "{tls / "ca.pem"}"']
    for part in ("master", "volume", "filer", "s3", "admin", "worker", "msg_broker", "msg_agent", "mq"):
        sections += [f"[grpc.{part}]", *server]
    # Without a token, any caller who knows a block's number could read it from the volume server's HTTP port, or write.
    keys = site.mounted.get(ADMIN_SECRET, {})
    sections += ["[jwt.signing]", f'key = "{keys.get("jwt-write", "")}"']
    sections += ["[jwt.signing.read]", f'key = "{keys.get("jwt-read", "")}"']
    sections += ["[grpc.client]", f'cert = "{tls / "client.pem"}"', f'key = "{tls / "client.key"}"']
    return "\n".join(sections) + "\n"


def _store(image: str, identities: list[Obj]) -> Obj:
    # weed reads its identities only when it starts, and the operator does not restart it for a changed Secret.
    known = {f"{DOMAIN}/identities": ".".join(identity["name"] for identity in identities)}
    return {
        "image": image,
        "volumeServerDiskCount": 1,
        "master": {
            "replicas": 1,
            "volumeSizeLimitMB": 128,
            **_safe(),
            "persistence": {"enabled": True, "resources": {"requests": {"storage": "1Gi"}}},
        },
        "volume": {"replicas": 1, "requests": {"storage": "20Gi", "cpu": "50m", "memory": "128Mi"}, **_safe()},
        "filer": {
            "replicas": 1,
            # Holds names and identities: if it is lost, every key is lost.
            "persistence": {"enabled": True, "resources": {"requests": {"storage": "2Gi"}}},
            "s3": {"enabled": True, "configSecret": {"name": ADMIN_SECRET, "key": "s3.json"}},
            "annotations": known,
            **_safe(),
        },
        "securityConfig": {"jwtSigning": {"filerRead": True, "filerWrite": True, "volumeWrite": True}},
    }


def _safe() -> Obj:
    """Return the security context: the image runs as root by default, and the namespace enforces ``restricted``."""
    return {
        "podSecurityContext": {**copied(RESTRICTED_POD), "runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 1000},
        "containerSecurityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }


def _fronted(wish: Wish[Spec]) -> bool:
    """Tell whether clients reach S3 through the front: from its first answer on, and then always."""
    live = wish.observed.resources.get("storage-service")
    if live is not None and live["spec"].get("selector") == FRONT:
        return True
    ready, _ = wish.observed.health("storefront-deployment", "the front")
    return ready


def _service(*, fronted: bool) -> Obj:
    store = {
        "app.kubernetes.io/component": "filer",
        "app.kubernetes.io/instance": STORE,
        "app.kubernetes.io/name": "seaweedfs",
    }
    # A front knows only its own requests, so those of one client that could meet go to one front.
    affinity = {"sessionAffinity": "ClientIP"} if fronted else {}
    ports = [{"name": "http-s3", "port": 8333}]
    return {"selector": dict(FRONT) if fronted else store, "ports": ports, **affinity}


def _walls(*, fronted: bool) -> Obj:
    clients = {"namespaceSelector": {"matchLabels": {f"{DOMAIN}/s3-client": "true"}}}
    ingress: list[Obj] = [
        {"from": [{"podSelector": {}}]},
        # The API server calls the operator's webhook, and a selector cannot name the API server.
        {"ports": [{"port": 9443, "protocol": "TCP"}]},
    ]
    if not fronted:
        ingress.insert(1, {"from": [clients], "ports": [{"port": 8333, "protocol": "TCP"}]})
    return {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": ingress}


component = StorageComponent()
