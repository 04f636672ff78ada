"""Settings of the whole suite."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# The same examples in every run: a test that fails only sometimes says nothing about a change.
# ``VELLUM_EXPLORE=1`` lets hypothesis look for new ones.
# A busy machine is slow at times; that says nothing about the code.
SLOW = [HealthCheck.too_slow]
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=SLOW)
settings.register_profile("explore", deadline=None, suppress_health_check=SLOW)
settings.load_profile("explore" if os.environ.get("VELLUM_EXPLORE") else "steady")

# Under nohup, or in the background of a shell, these are ignored, and every process of a test would inherit that.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
