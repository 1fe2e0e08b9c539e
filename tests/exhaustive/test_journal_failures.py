"""A disk that refuses for long."""

from __future__ import annotations

from tests.journal import test_recovery


class RepeatedFailureTests(test_recovery.RepeatedFailureTests):
    """As many commits as would use up the descriptors, if one of each was left."""

    times = 200
