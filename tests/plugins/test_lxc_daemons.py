"""lxc-monitord: when it is started, and what is said of it."""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from stationd_plugins.lxc.daemons import Daemons


class DaemonsTests(SynchronousTestCase):
    """A program that never listens, and writes down for which paths it was started."""

    def setUp(self) -> None:
        self.program, self.started, self.path = (os.path.abspath(self.mktemp()) for _ in range(3))
        with open(self.program, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho $1 >>{self.started}\n")
        os.chmod(self.program, 0o755)
        self.clock = Clock()
        self.daemons = Daemons([self.program], self.clock.seconds)

    def connect(self, times: int = 1) -> list[str]:
        """What is said."""
        with capturedLogs() as logs:
            for _ in range(times):
                self.assertEqual(self.daemons.connect([self.path]), {})
        return [formatEvent(event) for event in logs]

    def starts(self) -> int:
        try:
            with open(self.started, encoding="utf-8") as file:
                return len(file.readlines())
        except FileNotFoundError:
            return 0

    def test_for_a_path_that_is_not_there_nothing_is_done_or_said(self) -> None:
        self.assertEqual(self.connect(3), [])
        self.assertEqual(self.starts(), 0)

    def test_for_a_path_that_appears_it_is_started_at_once(self) -> None:
        self.connect()
        os.mkdir(self.path)
        self.connect()
        self.assertEqual(self.starts(), 1)
        # And comes again.
        os.rmdir(self.path)
        self.connect()
        os.mkdir(self.path)
        self.connect()
        self.assertEqual(self.starts(), 2)

    def test_one_that_fails_is_tried_again_after_a_while_and_said_once(self) -> None:
        os.mkdir(self.path)
        said = [f"no lxc-monitord for {self.path}: how its containers end is not known"]
        self.assertEqual(self.connect(3), said)
        self.assertEqual(self.starts(), 1)
        pauses = [5, 10, 20, 40, 80, 160, 320, 600, 600]
        for starts, pause in enumerate(pauses, 1):
            self.clock.advance(pause - 1)
            self.assertEqual(self.connect(3), [])
            self.assertEqual(self.starts(), starts)
            self.clock.advance(1)
            self.assertEqual(self.connect(3), [])
            self.assertEqual(self.starts(), starts + 1)

    def test_that_of_another_user_is_not_started(self) -> None:
        self.path = "/proc/1" if os.geteuid() else os.path.abspath(self.mktemp())
        if not os.geteuid():
            os.mkdir(self.path)
            os.chown(self.path, 65534, 65534)
        self.connect()
        self.assertEqual(self.starts(), 0)
