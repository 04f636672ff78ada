"""Crossplane's Helm provider, which installs every other part: the rendered tree has it, this part waits for it."""

from __future__ import annotations

from collections.abc import Mapping

from vellum.kube.objects import Obj, current
from vellum.model.component import PlatformComponent, Spec, Wish
from vellum.model.release import PROVIDER, RELEASE
from vellum.model.state import READY, Ready, Requirement, waits


class ProviderHelmComponent(PlatformComponent[Spec]):
    """A part without objects, whose readiness is the provider's health in Crossplane."""

    name = PROVIDER
    summary = "Crossplane's Helm provider, which installs every other part"
    profiles = ("light", "standard")
    kinds = (RELEASE,)
    actor = "Crossplane's package manager"

    def requires(self, wish: Wish[Spec]) -> Mapping[str, Requirement]:
        """Require the provider's state in Crossplane."""
        del wish
        return {"provider": Requirement("pkg.crossplane.io/v1", "Provider", PROVIDER)}

    def objects(self, wish: Wish[Spec]) -> dict[str, Obj]:
        """Return nothing."""
        del wish
        return {}

    def ready(self, wish: Wish[Spec], made: Mapping[str, Obj]) -> Ready:
        """Return ready once Crossplane reports the provider as healthy."""
        del made
        provider = wish.observed.required.get(f"{self.name}/provider")
        if provider is None:
            return waits(
                f"Provider {PROVIDER} is not installed; apply 05-provider of the rendered tree",
                actor="the platform engineer",
            )
        healthy = current(provider, "Healthy") or {}
        if healthy.get("status") == "True":
            return READY
        return waits(f"Provider {PROVIDER} is not healthy: {healthy.get('message') or 'no word yet'}", actor=self.actor)


component = ProviderHelmComponent()
