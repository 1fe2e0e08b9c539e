"""Random lives of containers, of their engine and of the daemon."""

from __future__ import annotations

from tests.plugins import test_docker_chaos


class DockerChaosTests(test_docker_chaos.DockerChaosTests):
    """Many of each kind."""

    seeds = range(150)
