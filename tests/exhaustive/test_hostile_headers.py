"""Bytes that are not text, in every header of requests of each kind."""

from __future__ import annotations

from tests.web import test_site


class HostileTests(test_site.HostileTests):
    """Every header with every value."""

    paths = ("/api/v1/log", "/" + "x" * 2000, "/healthz")
