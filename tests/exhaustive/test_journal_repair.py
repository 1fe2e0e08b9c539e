"""The power goes at every change that a repair makes."""

from __future__ import annotations

from tests.journal import test_repair


class PowerCutTests(test_repair.PowerCutTests):
    """At each."""

    every = 1
