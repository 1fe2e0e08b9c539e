"""The C{twistd stationd} command. The only module that imports the reactor."""

from __future__ import annotations

import sys
import time
from typing import cast

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.python import usage

from stationd.config import Settings, load
from stationd.errors import StationdError
from stationd.interfaces import IHostReactor
from stationd.service import Station

DEFAULT = "/etc/stationd/stationd.toml"


class Options(usage.Options):
    """What C{twistd stationd} takes."""

    optParameters = [["config", "c", DEFAULT, "The configuration file."]]  # noqa: RUF012
    synopsis = "[--config FILE]"
    longdesc = "Record what happens to the Docker and LXC containers of this host."

    def postOptions(self) -> None:
        try:
            self["settings"] = load(self["config"])
        except StationdError as error:
            raise usage.UsageError(str(error)) from error


class _Clean(Service):
    """A daemon whose failure to start is one line and exit code 1, no traceback."""

    def __init__(self, station: Station) -> None:
        self._station = station

    def startService(self) -> None:
        try:
            self._station.startService()
        except StationdError as error:
            sys.exit(f"stationd: {error}")

    def stopService(self) -> Deferred[None]:
        return self._station.stopService()


def makeService(options: Options) -> IService:
    """The service for what the command line says."""
    from twisted.internet import reactor

    # Twisted's timers go by the wall clock, and a step of it would move every wait.
    # Nothing has been scheduled yet.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    settings: Settings = options["settings"]
    return _Clean(Station(settings, cast(IHostReactor, reactor)))
