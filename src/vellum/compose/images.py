"""Parts whose image the platform does not name: new ones wait, and running ones stay as they are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vellum.model.component import W
from vellum.model.platform import PlatformFacts
from vellum.model.state import READY, Ready, waits

_NO_IMAGE = "vellum.invalid/the-image-that-runs-now"


def named(image: str, platform: PlatformFacts) -> Ready:
    """Tell whether the platform names the image that a part needs (empty: it needs none)."""
    if not image or image in platform.images:
        return READY
    reason = f"ImageMissing: KubeflowPlatform kubeflow does not name the image; set spec.images.{image}"
    return waits(reason, actor="the platform engineer")


def with_some(wish: W, image: str) -> W:
    """Return the wish; if the platform does not name the image any more, with a placeholder for it."""
    if named(image, wish.platform):
        return wish
    images = {**wish.platform.images, image: _NO_IMAGE}
    return replace(wish, platform=replace(wish.platform, images=images))


def keeping(made: Any, live: Any) -> Any:  # noqa: ANN401  # JSON
    """Return what was made, with the running image in place of the placeholder."""
    if made == _NO_IMAGE:
        return live
    if isinstance(made, dict) and isinstance(live, Mapping):
        return {key: keeping(value, live.get(key)) for key, value in made.items()}
    if isinstance(made, list) and isinstance(live, list) and len(made) <= len(live):
        return [keeping(value, there) for value, there in zip(made, live, strict=False)]
    return made
