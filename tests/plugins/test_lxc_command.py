"""What is believed of an answer to the command socket, and of its silence."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from stationd_plugins.host import cgroups
from stationd_plugins.lxc.command import GET_STATE, Answers, address, ask
from stationd_plugins.lxc.scan import ASK_AGAIN, Silent, look

NOBODY = 65534

PATIENCE = 60.0
"""Seconds that a monitor may be late, which is a thread of ours: the machine may be busy."""

_T = TypeVar("_T")


def once_answered(ask: Callable[[], _T]) -> _T:
    """What a function returns that asks a monitor, when that has had its turn."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


@contextmanager
def exhausted() -> Iterator[None]:
    """There are no more descriptors."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


class CommandTests(SynchronousTestCase):
    """A monitor of our own, or whoever took its address."""

    def setUp(self) -> None:
        self.path = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, self.path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.socket.close)

    def serve(self, results: int = 0) -> None:
        """Say that it runs, in connections of one request."""
        self.socket.bind(address(self.path, "one"))
        self.socket.listen(2)

        self.addCleanup(self.socket.shutdown, socket.SHUT_RDWR)

        def answer() -> None:
            while True:
                try:
                    connection, _ = self.socket.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    # Whoever asked may have given up.
                    if request := connection.recv(16):
                        command, _, _ = struct.unpack("iiQ", request)
                        value = 2 if command == GET_STATE else 7
                        connection.sendall(struct.pack("iiQ", results, 0, value))

        threading.Thread(target=answer, daemon=True).start()

    def ask(self) -> Answers | None:
        return once_answered(lambda: ask(self.path, "one"))

    def test_a_monitor_answers(self) -> None:
        self.serve()
        self.assertEqual(self.ask(), Answers("RUNNING", 7))

    def test_nobody_is_there(self) -> None:
        self.assertIsNone(self.ask())

    def test_one_that_refuses(self) -> None:
        self.serve(results=-13)
        self.assertIsNone(self.ask())

    def test_another_user_does_not_speak_for_a_container(self) -> None:
        if os.geteuid():
            raise SkipTest("it takes two users")
        # The credentials of a peer are those with which it began to listen.
        os.seteuid(NOBODY)
        try:
            self.serve()
        finally:
            os.seteuid(0)
        self.assertIsNone(self.ask())
        os.chown(self.path, NOBODY, NOBODY)
        self.assertEqual(self.ask(), Answers("RUNNING", 7))

    def test_the_more_do_not_answer_the_less_often_they_are_asked(self) -> None:
        silent: Silent = {}
        for number, name in enumerate(("one", "two"), 1):
            os.mkdir(os.path.join(self.path, name))
            self.addCleanup(os.rmdir, os.path.join(self.path, name))
            monitor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.addCleanup(monitor.close)
            monitor.bind(address(self.path, name))
            monitor.listen(2)
            began = time.monotonic()
            seen = look(self.path, name, cgroups.Layout("", {}), silent)
            assert seen is not None
            self.assertTrue(seen.is_silent)
            pause = silent[os.path.join(self.path, name)] - began
            self.assertGreater(pause, ASK_AGAIN * number)

    def test_that_we_have_no_descriptors_says_nothing_of_a_container(self) -> None:
        self.serve()
        directory = os.path.join(self.path, "one")
        os.mkdir(directory)
        self.addCleanup(os.rmdir, directory)
        with exhausted():
            self.assertRaises(OSError, ask, self.path, "one")
            self.assertRaises(OSError, look, self.path, "one", cgroups.Layout("", {}))


class ConfigurationTests(SynchronousTestCase):
    """What is opened."""

    def test_only_a_file_is(self) -> None:
        path = os.path.abspath(self.mktemp())
        os.makedirs(f"{path}/one")
        os.mkfifo(f"{path}/fifo")
        os.symlink(f"{path}/fifo", f"{path}/one/config")
        opened = threading.Event()

        def write() -> None:
            os.close(os.open(f"{path}/fifo", os.O_WRONLY))
            opened.set()

        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        for _ in range(3):
            look(path, "one", cgroups.Layout("", {}))
        was_opened = opened.wait(0.1)
        os.close(os.open(f"{path}/fifo", os.O_RDONLY | os.O_NONBLOCK))
        writer.join()
        self.assertFalse(was_opened)
