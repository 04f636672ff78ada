"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples in every run: a test that fails only sometimes tells nothing about a change.
# ``VELLUM_EXPLORE=1`` lets hypothesis look for new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile("explore" if os.environ.get("VELLUM_EXPLORE") else "steady")
