"""Keys are derived, not random: HMAC of (seed, purpose, owner, generation).

A random key would have to be kept from the observed state, and one pass over a stale cache would silently rotate it.
Derived keys give the same bytes in every pass, and rotation is a new generation.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

SEED_BYTES = 32
SEED_SECRET = "vellum-seed"  # noqa: S105  # a name, not a secret
"""The Secret in Crossplane's namespace that holds the seed of a cluster."""
SEED = "seed"
"""The name of the function's credentials, and of the key in their Secret."""
GENERATIONS = "generations"
"""The key beside the seed: the highest generation that each owner of keys ever had, as JSON."""
PLATFORM_OWNER = "platform"
"""The platform as an owner of keys; the other owners are teams, whose ids end with a hash."""


def generations(text: str) -> dict[str, int]:
    """Return the highest generation of each owner; empty for an empty text.

    Raises:
        ValueError: the text does not have the written form.
    """
    if not text:
        return {}
    result = json.loads(text)
    if not isinstance(result, dict) or not all(isinstance(item, int) and item > 0 for item in result.values()):
        raise ValueError("the generations are not numbers by owner")
    return result


@lru_cache(maxsize=4096)
def _digest(material: bytes, message: str) -> bytes:
    # Cached: every pass asks for the same ones, and they would cost a twentieth of it.
    return hmac.digest(material, message.encode(), "sha256")


@dataclass(frozen=True, slots=True)
class Seed:
    """The secret of one installation, at least 32 random bytes; never printed, never rendered."""

    material: bytes = field(repr=False)
    generations: Mapping[str, int] = field(default_factory=dict, compare=False)
    """The highest generation that each owner of keys ever had, if it was above the first."""

    def __post_init__(self) -> None:
        if len(self.material) < SEED_BYTES:
            raise ValueError(f"a seed has at least {SEED_BYTES} bytes, this one has {len(self.material)}")

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell two seeds apart without revealing either."""
        return self._digest("fingerprint").hex()[:16]

    def lowest(self, owner: str) -> int:
        """Return the lowest generation that is still valid: lower keys of the owner were replaced."""
        return self.generations.get(owner, 1)

    def access_key(self, owner: str, generation: int = 1) -> str:
        """Return an S3 access key id: 20 characters, upper case and digits."""
        return "VLM" + base64.b32encode(self._digest(f"s3-access|{owner}|{generation}")).decode()[:17]

    def secret_key(self, owner: str, generation: int = 1) -> str:
        """Return an S3 secret key: 40 characters, 240 bits."""
        return self._text(f"s3-secret|{owner}|{generation}", 40)

    def token(self, purpose: str, owner: str, generation: int = 1) -> str:
        """Return a token for any other service that needs a key: 43 characters, 256 bits."""
        return self._text(f"{purpose}|{owner}|{generation}", 43)

    def _digest(self, message: str) -> bytes:
        return _digest(self.material, message)

    def _text(self, message: str, length: int) -> str:
        return base64.urlsafe_b64encode(self._digest(message)).decode()[:length]


DUMMY_SEED = Seed(b"vellum-dummy-seed-never-for-real-keys!")
"""The seed of goldens and rendered examples, so that a real key can never look like one of theirs."""
