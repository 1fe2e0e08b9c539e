"""Random lives of an LXC container."""

from __future__ import annotations

from tests.plugins import test_lxc_lives


class LifeTests(test_lxc_lives.LifeTests):
    """Many of each kind."""

    seeds = range(1000)
