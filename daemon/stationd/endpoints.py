"""Endpoint descriptions: validation, listening, and errors in one line."""

from __future__ import annotations

import re
import socket

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    StandardIOEndpoint,
    serverFromString,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from stationd.config import Settings
from stationd.errors import InvalidConfiguration, InvalidValue
from stationd.messages import allowed_values, file_reason_messages
from stationd.unix_listener import adopt_unix, listen_unix

MAX_PATH_BYTES = 107
"""Of a Unix socket's path (C{sockaddr_un}, with its NUL)."""


def validate_endpoints(settings: Settings) -> Settings:
    """The same settings, if each of their endpoints can be understood. What may change by
    itself (an address, a certificate's file, a socket of systemd's) is not looked at.

    @raise InvalidConfiguration: one cannot.
    """
    known: set[tuple[str, ...]] = set()
    for description in settings.endpoints:
        reason = _find_mistake(description)
        # A socket of systemd's has a number, which is another file's once it is adopted.
        what = tuple(sorted(p for p in description.split(":") if not p.startswith("domain=")))
        if what in known:
            reason = allowed_values.ENDPOINT_ONCE
        known.add(what)
        if reason:
            error = InvalidValue("http.endpoints", description, reason)
            raise InvalidConfiguration(settings.file, str(error))
    return settings


def listen(
    reactor: object, description: str, factory: IProtocolFactory
) -> Deferred[IListeningPort]:
    """Listen on what a description names. Errors may be raised or come in the Deferred;
    L{failure_reason} has words for each."""
    return _parse_endpoint(_ListeningReactor(reactor), description).listen(factory)


def failure_reason(failure: Failure) -> str:
    """Why an endpoint cannot be opened, in one line."""
    error = failure.value
    if isinstance(error, CannotListenError):
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        said = error.strerror
        if error.filename:
            said = file_reason_messages.ENDPOINT_FILE.render(error=said, file=error.filename)
    elif isinstance(error, ImportError):
        said = file_reason_messages.ENDPOINT_SSL.render(error=error)
    else:
        said = str(error) or type(error).__name__
    return " ".join(said.split()).replace("\0", "@")


class _ListeningReactor:
    """A reactor that listens on Unix sockets in our way, and on others in Twisted's."""

    def __init__(self, reactor: object) -> None:
        self._reactor = reactor

    def __getattr__(self, name: str) -> object:
        return getattr(self._reactor, name)

    def listenUNIX(
        self,
        address: str,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = True,
    ) -> IListeningPort:
        """See L{twisted.internet.interfaces.IReactorUNIX}."""
        return listen_unix(address, mode, backlog, factory, self._reactor)

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: IProtocolFactory
    ) -> IListeningPort:
        """See L{twisted.internet.interfaces.IReactorSocket}."""
        passed = socket.socket(fileno=fileDescriptor)
        try:
            if passed.family != addressFamily:
                another = file_reason_messages.SOCKET_DOMAIN_MISMATCH
                raise ValueError(another.render(domain=passed.family.name[3:]))
            if not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                raise ValueError(file_reason_messages.SOCKET_NOT_LISTENING.text)
        finally:
            passed.detach()
        if addressFamily == socket.AF_UNIX:
            return adopt_unix(fileDescriptor, factory, self._reactor)
        adopted: IListeningPort = self._reactor.adoptStreamPort(  # type: ignore[attr-defined]
            fileDescriptor, addressFamily, factory
        )
        return adopted


class _ValidatingReactor:
    """What an endpoint asks of a reactor is looked at, and not done."""

    def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> None:
        """See L{twisted.internet.interfaces.IReactorTCP}."""
        if not 0 <= port <= 65_535:
            raise ValueError(allowed_values.ENDPOINT_PORT)

    def listenSSL(
        self,
        port: int,
        factory: object,
        contextFactory: object,
        backlog: int = 50,
        interface: str = "",
    ) -> None:
        """See L{twisted.internet.interfaces.IReactorSSL}."""
        self.listenTCP(port, factory, backlog, interface)

    def listenUNIX(
        self, address: str, factory: object, backlog: int, mode: int, wantPID: bool
    ) -> None:
        """See L{twisted.internet.interfaces.IReactorUNIX}."""
        if not address or len(address.encode()) > MAX_PATH_BYTES:
            raise ValueError(allowed_values.ENDPOINT_PATH.format(greatest=MAX_PATH_BYTES))
        if not 0 <= mode <= 0o777:
            raise ValueError(allowed_values.ENDPOINT_MODE)
        if not wantPID:
            raise ValueError(allowed_values.ENDPOINT_LOCK)


def _parse_endpoint(reactor: object, description: str) -> IStreamServerEndpoint:
    """@raise ValueError: it cannot be understood, or systemd has not passed it."""
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
        return endpoint
    except (KeyError, IndexError):
        raise LookupError(file_reason_messages.SOCKET_NOT_PASSED.text) from None
    except TypeError as error:
        # "_parseTCP() got an unexpected keyword argument 'x'", and names no more than Twisted.
        raise ValueError(re.sub(r"^[\w.]+\(\) ", "", str(error))) from error
    except AttributeError as error:
        raise ValueError(str(error)) from error


def _find_mistake(description: str) -> str:
    """What of a description cannot be right, C{""} if nothing."""
    if not description.isprintable():
        return allowed_values.ENDPOINT_CHARACTERS
    found: list[Failure] = []
    try:
        endpoint = _parse_endpoint(_ValidatingReactor(), description)
        if isinstance(endpoint, StandardIOEndpoint):
            return allowed_values.ENDPOINT_FOR_CLIENTS
        # One of systemd's would be closed, and what others do that are no part of Twisted is
        # their own.
        twisted = type(endpoint).__module__.startswith("twisted.")
        if twisted and not isinstance(endpoint, AdoptedStreamServerEndpoint):
            endpoint.listen(Factory()).addErrback(found.append)
    except ValueError:
        return failure_reason(Failure())
    except Exception:  # noqa: BLE001 (OpenSSL's, of a certificate: it can be opened later, or not)
        return ""
    return failure_reason(found[0]) if found else ""
