"""The C{twistd stationd} command. The only module that imports the reactor."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import cast

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger
from twisted.python import usage

from stationd.config import Settings, load_settings
from stationd.endpoints import validate_endpoints
from stationd.errors import StationdError
from stationd.interfaces import IHostReactor
from stationd.messages.log_messages import STARTUP_FAILED
from stationd.signals import block_signals

_log = Logger()

DEFAULT_CONFIG = "/etc/stationd/stationd.toml"


class Options(usage.Options):
    """What C{twistd stationd} takes."""

    optParameters = [["config", "c", DEFAULT_CONFIG, "The configuration file."]]  # noqa: RUF012
    synopsis = "[--config FILE]"
    longdesc = "Record what happens to the Docker and LXC containers of this host."

    def postOptions(self) -> None:
        block_signals()
        try:
            self["settings"] = validate_endpoints(load_settings(self["config"]))
        except StationdError as error:
            # Not a UsageError, for which twistd prints how to use itself.
            sys.exit(f"stationd: {error}")


class _CleanExitService(Service):
    """A daemon whose failure to start is one line and exit code 1, no traceback."""

    def __init__(self, settings: Settings, reactor: IReactorCore) -> None:
        # Later than L{block_signals}: NumPy begins threads, in which signals have to wait too.
        from stationd.service import DaemonService

        self._reactor = reactor
        self._daemon = DaemonService(settings, cast(IHostReactor, reactor), self._exit_with_failure)

    def startService(self) -> None:
        try:
            self._daemon.startService()
        except StationdError as error:
            _report_error(error)
            # Not sys.exit, which waits for threads: a plugin may have begun one.
            os._exit(1)

    def stopService(self) -> Deferred[None]:
        return self._daemon.stopService()

    def _exit_with_failure(self, error: StationdError) -> None:
        """Stop in good order, and then with exit code 1, for which twistd has no way."""
        _report_error(error)
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
        with contextlib.suppress(ReactorNotRunning):
            # It may be stopping already, after a signal.
            self._reactor.stop()


def _report_error(error: StationdError) -> None:
    """To the log, and to the standard error that twistd has turned into a log."""
    STARTUP_FAILED.emit(_log, error=error)
    print(f"stationd: {error}", file=sys.__stderr__, flush=True)


def makeService(options: Options) -> IService:
    """The service for what the command line says."""
    from twisted.internet import reactor

    # Twisted's timers go by the wall clock, and a step of it would move every wait.
    # Nothing has been scheduled yet.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    settings: Settings = options["settings"]
    return _CleanExitService(settings, cast(IReactorCore, reactor))
