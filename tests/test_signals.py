"""Real signals, sent to the process of the tests."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from stationd.signals import (
    HANDLED_SIGNALS,
    IGNORED_SIGNALS,
    TERMINATION_SIGNALS,
    Signals,
    block_signals,
)


class Queue:
    """What C{callFromThread} was given, until it is run."""

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:
        self.calls.append((function, arguments))

    def run(self) -> None:
        calls, self.calls = self.calls, []
        for function, arguments in calls:
            function(*arguments)


class SignalsTests(SynchronousTestCase):
    """Each ends this process if it is not handled."""

    def setUp(self) -> None:
        self.queue = Queue()
        self.done: list[str] = []
        self.signals = Signals(
            self.queue,  # type: ignore[arg-type]
            lambda: self.done.append("reread"),
        )
        self.before = [signal.getsignal(number) for number in HANDLED_SIGNALS]
        self.addCleanup(signal.pthread_sigmask, signal.SIG_UNBLOCK, HANDLED_SIGNALS)

    def start(self) -> None:
        self.signals.startService()
        self.addCleanup(self.signals.stopService)

    def test_many_at_once_are_one(self) -> None:
        self.start()
        for number in (signal.SIGHUP, *IGNORED_SIGNALS) * 5:
            os.kill(os.getpid(), number)
        self.assertEqual(self.done, [])
        self.queue.run()
        self.assertEqual(self.done, ["reread"])
        os.kill(os.getpid(), signal.SIGHUP)
        self.queue.run()
        self.assertEqual(self.done, ["reread", "reread"])

    def test_the_end_is_begun_once(self) -> None:
        def twisted(number: int, frame: object) -> None:
            self.done.append(signal.Signals(number).name)

        for number in TERMINATION_SIGNALS:
            self.addCleanup(signal.signal, number, signal.signal(number, twisted))
        self.start()
        self.queue.run()
        for number in (signal.SIGQUIT, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            os.kill(os.getpid(), number)
        self.queue.run()
        self.assertEqual(self.done, ["SIGTERM"])
        self.signals.stopService()
        self.assertEqual(
            [signal.getsignal(number) for number in TERMINATION_SIGNALS], [twisted] * 2
        )

    def test_an_end_within_an_end_is_the_same(self) -> None:
        def twisted(number: int, frame: object) -> None:
            self.done.append(signal.Signals(number).name)

        self.addCleanup(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, twisted))
        self.addCleanup(sys.settrace, sys.gettrace())
        for at in range(1000):
            self.done.clear()
            signals = Signals(self.queue, lambda: None)  # type: ignore[arg-type]
            signals.startService()
            self.queue.run()
            left = at

            def trace(frame: FrameType, event: str, argument: object) -> Any:
                nonlocal left
                if frame.f_code is not Signals._terminate.__code__:
                    return None
                frame.f_trace_opcodes = True
                left -= event == "opcode"
                if left == 0 and event == "opcode":
                    sys.settrace(None)
                    os.kill(os.getpid(), signal.SIGTERM)
                return trace

            sys.settrace(trace)
            os.kill(os.getpid(), signal.SIGTERM)
            sys.settrace(None)
            signals.stopService()
            self.assertEqual(self.done, ["SIGTERM"], at)
            if left > 0:
                break
        self.assertGreater(at, 10)

    def test_what_came_before_the_start_is_done_then(self) -> None:
        block_signals()
        # To this thread: the process of the tests may have others, begun before.
        for number in (signal.SIGHUP, signal.SIGUSR2):
            signal.pthread_kill(threading.get_ident(), number)
        self.start()
        self.queue.run()
        self.assertEqual(self.done, ["reread"])

    def test_handlers_are_restored(self) -> None:
        self.signals.startService()
        self.signals.stopService()
        self.assertEqual([signal.getsignal(number) for number in HANDLED_SIGNALS], self.before)

    def test_a_handler_that_is_not_of_python_is_no_hindrance(self) -> None:
        self.signals.startService()
        self.signals._previous[signal.SIGUSR1] = None
        self.signals.stopService()
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        self.assertEqual(signal.getsignal(signal.SIGUSR2), signal.SIG_DFL)

    def test_the_log_rotation_of_twistd_stays(self) -> None:
        def rotate(number: int, frame: object) -> None:
            self.done.append("rotated")

        before = signal.signal(signal.SIGUSR1, rotate)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.start()
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(self.done, ["rotated"])

    def test_python_ignores_a_broken_pipe(self) -> None:
        self.assertEqual(signal.getsignal(signal.SIGPIPE), signal.SIG_IGN)

    def test_another_thread_has_no_signals(self) -> None:
        thread = threading.Thread(target=self.signals.startService)
        thread.start()
        thread.join()
        self.assertEqual([signal.getsignal(number) for number in HANDLED_SIGNALS], self.before)
        self.signals.stopService()
