"""Random gaps in the life of a Docker container."""

from __future__ import annotations

from tests.plugins import test_docker_reconcile


class RandomTests(test_docker_reconcile.RandomTests):
    """Many of them."""

    seeds = range(3000)
