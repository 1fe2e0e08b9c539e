"""The context of a request: the services that a route calls, the request taken apart, and the
responses it can give."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from stationd.errors import AuthenticationRequired
from stationd.interfaces import AppendResult, IJournal, Query, Waiting
from stationd.pending_wait import WaitResult
from stationd.records import Container, ContainerStats, Draft, Record
from stationd.web.account_store import AccountStore
from stationd.web.sessions import Session, Sessions
from stationd.web.system_accounts import SystemAccounts

SLICE_SECONDS = 0.002
"""Seconds that a long search works before others have their turn."""


class RecordWriter(Protocol):
    """Where records are posted: L{stationd.recorder.Recorder}."""

    def post_log(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]: ...
    def post_events(self, drafts: Sequence[Draft]) -> Deferred[AppendResult]: ...
    def clear_log(self, user: str) -> Deferred[int]: ...


class IContainerLookup(Protocol):
    """Which containers there are: L{stationd.container_lookup.ContainerLookup}."""

    def all(self) -> list[Container]: ...
    def is_live(self, type: str) -> bool: ...
    def references(self, key: str) -> frozenset[str]: ...
    def find(self, type: str, key: str) -> Deferred[Container]: ...
    def sample(self, containers: Sequence[Container]) -> Deferred[Mapping[str, ContainerStats]]: ...


class IWaits(Protocol):
    """Who waits for containers: L{stationd.waits.Waits}."""

    open: int

    def wait(self, type: str, key: str, target: str, duration: float) -> Deferred[WaitResult]: ...


class IFeed(Protocol):
    """Who waits for events: L{stationd.feed.Feed}."""

    def wait_after(self, number: int) -> Deferred[None]: ...


@attrs.frozen(kw_only=True)
class ApiServices:
    """Everything the routes call."""

    log: IJournal
    event: IJournal
    recorder: RecordWriter
    containers: IContainerLookup
    waits: IWaits
    feed: IFeed
    accounts: AccountStore
    system_accounts: SystemAccounts
    sessions: Sessions
    system: Callable[[], dict[str, object]]
    clock: IReactorTime
    now_us: Callable[[], int]


@attrs.frozen
class Caller:
    """Who is asking.

    @ivar user: the name in records; of a system account C{""} until it has been looked up.
    @ivar admin: whether an administrator.
    @ivar session: the session, if there is one; on the Unix socket there is none.
    @ivar uid: the system account, on the Unix socket.
    """

    user: str
    admin: bool
    session: Session | None = None
    uid: int | None = None


@attrs.frozen(kw_only=True)
class RequestContext:
    """One request, taken apart.

    @ivar parts: what stands at the placeholders of the route's path, decoded.
    @ivar parameters: the query, decoded; of a name that comes twice the last.
    @ivar body: what was sent, C{content_type} what it is said to be.
    @ivar token: the session cookie's value, C{""} without one.
    @ivar secure: whether it came over TLS.
    """

    services: ApiServices
    caller: Caller | None
    parts: tuple[str, ...]
    parameters: Mapping[str, str]
    body: bytes
    content_type: str
    token: str
    secure: bool

    @property
    def require_caller(self) -> Caller:
        """The caller, who is known.

        @raise AuthenticationRequired: he is not.
        """
        if self.caller is None:
            raise AuthenticationRequired()
        return self.caller


@attrs.frozen(kw_only=True)
class Response:
    """A whole answer."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(factory=dict)


class WaitingChunk(bytes):
    """Nothing, because a disk has to be waited for; see L{Waiting}.

    @ivar ready: fires when the next chunk can be taken; it never fails.
    """

    ready: Deferred[None]

    def __new__(cls, ready: Deferred[None]) -> WaitingChunk:
        chunk = super().__new__(cls)
        chunk.ready = ready
        return chunk


@attrs.frozen(kw_only=True)
class StreamedResponse:
    """An answer that is made while it is sent.

    @ivar chunks: its parts; empty ones are chances for others to run, L{WaitingChunk}s are to
        be waited for.
    """

    chunks: Iterator[bytes]
    content_type: str
    headers: Mapping[str, str] = attrs.field(factory=dict)


Handler = Callable[[RequestContext], Awaitable[Response | StreamedResponse]]


async def collect_records(services: ApiServices, journal: IJournal, query: Query) -> list[Record]:
    """All records that a query finds, letting others run in between."""
    records: list[Record] = []
    began = services.clock.seconds()
    for found in journal.select_without_waiting(query):
        records += found
        if isinstance(found, Waiting):
            await found.ready
            began = services.clock.seconds()
        elif services.clock.seconds() - began > SLICE_SECONDS:
            await sleep(services.clock)
            began = services.clock.seconds()
    return records


async def sleep(clock: IReactorTime, seconds: float = 0) -> None:
    """Come back later."""
    done: Deferred[None] = Deferred(lambda _: call.cancel())
    call = clock.callLater(seconds, done.callback, None)
    await done
