"""Whatever an engine or a kernel says."""

from __future__ import annotations

from tests.plugins import test_docker_recorded, test_nftables_dnat


class MutilatedTests(test_docker_recorded.MutilatedTests):
    """As no engine tells it."""

    examples = 400


class RulesTests(test_nftables_dnat.AnyTests):
    """Rules of nftables."""

    examples = 500
