"""Signal handlers, for those signals that Twisted leaves at their default, which is to end the
process.

SIGHUP rereads, SIGQUIT ends as SIGTERM does, others are ignored. SIGTERM and SIGINT are left
to Twisted, but for a second one. SIGPIPE and SIGXFSZ are ignored by Python. SIGUSR1 is twistd's
if it writes a log file.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import Logger

from stationd.messages.log_messages import SIGNAL_IGNORED

IGNORED_SIGNALS = (
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
)

TERMINATION_SIGNALS = (signal.SIGTERM, signal.SIGINT)

HANDLED_SIGNALS = (signal.SIGHUP, signal.SIGQUIT, *IGNORED_SIGNALS)

SignalHandler = Callable[[int, FrameType | None], object]


def block_signals() -> None:
    """Let signals wait until L{Signals} has started: the configuration is being read. This is
    for the thread that calls it, and those that are begun later; any other would take them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)


class Signals(Service):
    """The handlers, from start to stop. Only a main thread has signals; in another this
    does nothing.

    @param hangup: called in the reactor after SIGHUP, once for any number that came before.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorFromThreads, hangup: Callable[[], object]) -> None:
        self._reactor = reactor
        self._hangup = hangup
        self._pending: set[int] = set()
        # What the first signal that ends it takes.
        self._first = [True]
        self._previous: dict[int, SignalHandler | signal.Handlers | int | None] = {}

    def startService(self) -> None:
        super().startService()
        if threading.current_thread() is not threading.main_thread():
            return
        self._install(signal.SIGQUIT, lambda *_: signal.raise_signal(signal.SIGTERM))
        for number in (signal.SIGHUP, *IGNORED_SIGNALS):
            # SIGUSR1 of twistd begins a new log file.
            if number != signal.SIGUSR1 or signal.getsignal(number) == signal.SIG_DFL:
                self._install(number, self._received)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)
        # The reactor installs its own only when it runs.
        self._reactor.callFromThread(self._install_termination)

    def stopService(self) -> None:
        super().stopService()
        for number, handler in self._previous.items():
            # Python cannot install again what the program around it has.
            if handler is not None:
                signal.signal(number, handler)
        self._previous.clear()

    def _install(self, number: int, handler: SignalHandler) -> None:
        # Not SIG_IGN, which the programs that we start would inherit.
        self._previous[number] = signal.signal(number, handler)
        signal.siginterrupt(number, False)

    def _install_termination(self) -> None:
        if self.running:
            for number in TERMINATION_SIGNALS:
                self._install(number, self._terminate)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        """To stop a reactor twice is an error with a traceback."""
        before = self._previous[number]
        try:
            # Another signal can come between any two instructions, but not within this one.
            self._first.pop()
        except IndexError:
            return
        if callable(before):
            before(number, frame)

    def _received(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, between any two instructions: nothing is done here."""
        if number not in self._pending:
            self._pending.add(number)
            self._reactor.callFromThread(self._deliver, number)

    def _deliver(self, number: int) -> None:
        self._pending.discard(number)
        if number == signal.SIGHUP:
            self._hangup()
        else:
            SIGNAL_IGNORED.emit(self._log, name=signal.Signals(number).name)
