"""Signals of inotify without end."""

from __future__ import annotations

from tests.plugins import test_lxc_following


class EndlessSignalsTests(test_lxc_following.EndlessSignalsTests):
    """For a minute."""

    seconds = 60
