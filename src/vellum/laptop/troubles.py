"""Find troubles of the installation that the status of its objects does not show. Every request checks anew."""

from __future__ import annotations

from vellum.controlplane.store import SqliteStore
from vellum.errors import LaptopError, VellumError
from vellum.host.room import lacking
from vellum.host.state import State
from vellum.kube.objects import Key, Obj, controller_uid
from vellum.laptop.bucket_volumes import without_volume
from vellum.model.team import STORAGE_NAMESPACE
from vellum.objectstore.seaweed import API, STORE


def troubles(state: State, store: SqliteStore, failing: dict[Key, str]) -> list[Obj]:
    """Return errors as data, causes before consequences; with any error the platform is not ready."""
    buckets = [obj["metadata"]["name"] for obj in store.list(API, "Bucket")]
    volumes = state.data(STORAGE_NAMESPACE, f"seaweed-{STORE}") / "data"
    results: list[VellumError | None] = [lacking(state.root) or without_volume(volumes, buckets), store.trouble()]
    results += [_failing(key, error) for key, error in sorted(failing.items()) if _is_ours(store.get(key))]
    return [error.as_dict() for error in results if error]


def _is_ours(obj: Obj | None) -> bool:
    """Return whether the object belongs to the platform: it is a composite or composed, not made by a team."""
    return obj is not None and ("platform.vellum.dev" in obj["apiVersion"] or controller_uid(obj) is not None)


def _failing(key: Key, error: str) -> LaptopError:
    return LaptopError(
        "VEL422",
        f"{key} cannot be updated: {error}",
        where=str(key),
        fix="fix the cause; the supervisor then tries again automatically. `vellum logs vellum` has the whole error",
    )
