"""Tests of stationd. Those with hypothesis try the same examples in every run, and take
the time that a busy machine needs."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "certain", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("certain")
