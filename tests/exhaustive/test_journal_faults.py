"""The power goes at every change to the disk, each of its operations fails, and every bit of a
journal flips."""

from __future__ import annotations

from tests.journal import test_faults


class PowerCutTests(test_faults.PowerCutTests):
    """At each change."""

    every = 1


class NoTombstoneTests(test_faults.NoTombstoneTests):
    """At each change."""

    every = 1


class RefusalTests(test_faults.RefusalTests):
    """Of each operation."""

    every = 1


class RefusalAndCutTests(test_faults.RefusalAndCutTests):
    """Many of them."""

    runs = 120


class BitFlipTests(test_faults.BitFlipTests):
    """All bits and all lengths."""

    every = 1
