"""Where the daemon listens."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.unix import Port
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Site

from stationd.errors import CannotListen


class Doors(Service):
    """Listening ports, one for each endpoint description.

    @param descriptions: as L{serverFromString} takes them.
    """

    _log = Logger()

    def __init__(self, reactor: object, descriptions: Sequence[str], site: Site) -> None:
        self._reactor = reactor
        self._descriptions = descriptions
        self._site = site
        self._ports: list[IListeningPort] = []

    def startService(self) -> None:
        """Listen.

        @raise CannotListen: a description or its address is no good. A daemon that
            nobody can reach would only seem to run.
        """
        for description in self._descriptions:
            failures: list[Failure] = []
            try:
                listening = serverFromString(self._reactor, description).listen(self._site)
            except (ValueError, TypeError, KeyError) as error:
                raise CannotListen(description, str(error)) from error
            listening.addCallbacks(self._ports.append, failures.append)
            for failure in failures:
                raise CannotListen(description, failure.getErrorMessage())
            if description.startswith("systemd:"):
                _leave_to_systemd(self._ports[-1])
            self._log.info("listening on {description}", description=description)
        super().startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        stopping: list[Deferred[None]] = []
        for port in self._ports:
            stopped = port.stopListening()
            if isinstance(stopped, Deferred):
                stopping.append(stopped)
        self._ports.clear()
        return DeferredList(stopping, consumeErrors=True).addCallback(lambda _: None)


def _leave_to_systemd(port: IListeningPort) -> None:
    """A socket that systemd made and passed on is systemd's: Twisted must neither
    unlink its path nor shut it down, or the next start finds it dead. There is no
    public way to say so: a test holds these two names to what they do."""
    if isinstance(port, Port):
        port._bindPath = b"\0adopted"
        port._shouldShutdown = False
