"""Random lives of LXC containers while the daemon is killed and held."""

from __future__ import annotations

from tests.plugins import test_lxc_chaos


class LxcChaosTests(test_lxc_chaos.LxcChaosTests):
    """Many of them."""

    seeds = range(80)
