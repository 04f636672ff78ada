"""Parts whose image the platform does not name: new ones wait, and running ones stay as they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vellum.kube.objects import Json, Obj
from vellum.model.component import AnyComponent, Wish
from vellum.model.platform import PlatformFacts
from vellum.model.state import READY, Ready, waits

_NO_IMAGE = "vellum.invalid/the-image-that-runs-now"


def named(image: str, platform: PlatformFacts) -> Ready:
    """Tell whether the platform names the image that a part needs (empty: it needs none)."""
    if not image or image in platform.images:
        return READY
    reason = f"ImageMissing: KubeflowPlatform kubeflow does not name the image; set spec.images.{image}"
    return waits(reason, actor="the platform engineer")


def objects(component: AnyComponent, wish: Wish[Any]) -> dict[str, Obj]:
    """Return the component's objects, with the running image if the platform no longer names one."""
    if named(component.image, wish.platform):
        return component.objects(wish)
    images = {**wish.platform.images, component.image: _NO_IMAGE}
    made = component.objects(replace(wish, platform=replace(wish.platform, images=images)))
    return {name: _keeping(obj, wish.observed.resources.get(name) or {}) for name, obj in made.items()}


def _keeping(made: Json, live: Json) -> Json:
    """Return what was made, with the running image in place of the placeholder."""
    if made == _NO_IMAGE:
        return live
    if isinstance(made, dict) and isinstance(live, Mapping):
        return {key: _keeping(value, live.get(key)) for key, value in made.items()}
    if isinstance(made, list) and isinstance(live, list) and len(made) <= len(live):
        return [_keeping(value, there) for value, there in zip(made, live, strict=False)]
    return made
