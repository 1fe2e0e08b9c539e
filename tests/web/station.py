"""The API over journals in memory, without sockets, and a client for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from treq.testing import RequestTraversalAgent
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

from stationd.container_lookup import ContainerLookup
from stationd.errors import SourceLost
from stationd.feed import Feed
from stationd.recorder import Recorder
from stationd.records import Container, ContainerStats, Record
from stationd.registry import Registry
from stationd.source_queries import SourceQueries
from stationd.supervisor import Sources
from stationd.testing import MemoryJournal
from stationd.waits import Waits
from stationd.web.account_store import AccountStore
from stationd.web.channel import ApiChannel
from stationd.web.fresh_calls import FreshCalls
from stationd.web.password_verifier import IHashingThreads, PasswordVerifier
from stationd.web.request_context import ApiServices
from stationd.web.sessions import COOKIE_NAME, Sessions
from stationd.web.site import ApiSite, make_site
from stationd.web.system_accounts import SystemAccounts
from stationd.web.users_file import Account, write_users
from tests.test_record_builder import happened

BASE = "http://stationd"

CHEAP = "scrypt$16$8$1$c2FsdHNhbHQ=$u/0x5wTA0IYlDe/L4P1Z0p7hqVGeb2WJYhaK0sZdfbw="
"""Not a hash of anything: sessions are begun without a password, where that is not
what a test is about."""


@attrs.frozen
class Answered:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@implementer(IBodyProducer)
@attrs.define
class _Body:
    """A request's body."""

    data: bytes

    @property
    def length(self) -> int:
        return len(self.data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self.data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All is written at once."""

    def resumeProducing(self) -> None:
        """All is written at once."""

    def stopProducing(self) -> None:
        """All is written at once."""


class Wire:
    """A connection to a site, byte by byte.

    @ivar transport: what the site writes to.
    """

    def __init__(self, site: ApiSite, transport: StringTransport | None = None) -> None:
        channel = site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert isinstance(channel, ApiChannel)
        self.channel = channel
        self.transport = transport or StringTransport()
        channel.makeConnection(self.transport)

    def send(self, *parts: bytes) -> bytes:
        """Send parts, each as one packet; what has come back since the last call. They arrive
        also if the site has closed the connection: some may be under way."""
        for data in parts:
            self.channel.dataReceived(data)
        return self.received()

    def received(self) -> bytes:
        """What has come back since the last call."""
        value: bytes = self.transport.value()
        self.transport.clear()
        return value

    def answers(self, *parts: bytes) -> list[Answered]:
        """The same, taken apart; C{HEAD} is not for this."""
        left = self.send(*parts)
        found: list[Answered] = []
        while left:
            head, _, left = left.partition(b"\r\n\r\n")
            line, *lines = head.decode("ascii").split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
            size = int(headers.get("content-length", 0))
            found.append(Answered(int(line.split(" ")[1]), headers, left[:size]))
            left = left[size:]
        return found

    @property
    def closed(self) -> bool:
        """Whether the site has closed it."""
        return self.transport.disconnecting or self.transport.disconnected

    def close(self) -> None:
        """Disconnect."""
        self.channel.connectionLost()


class MeasuredSources(Sources):
    """Sources that measure everything and know one container at most.

    @ivar lives: whether they are followed, and answer.
    @ivar found: the container that they know.
    """

    lives = True
    found: Container | None = None

    def is_live(self, type: str) -> bool:
        return self.lives

    def sample(self, containers: Sequence[Container]) -> Deferred[Mapping[str, ContainerStats]]:
        figures = ContainerStats(
            cpu=0.25, memory_bytes=4096, rx_rate=180, tx_rate=7, addresses=("10.0.3.62",)
        )
        return succeed({container.reference: figures for container in containers})

    def find(self, type: str, key: str) -> Deferred[Container | None]:
        return fail(SourceLost("it is away")) if not self.lives else succeed(self.found)


class InlineThreads:
    """No threads: the work is done at once."""

    def start(self) -> None:
        """There is nothing to get ready."""

    def run(self, work: Callable[[], bool]) -> Deferred[bool]:
        return maybeDeferred(work)

    def stop(self) -> None:
        """There is nothing to release."""


class StationCase(SynchronousTestCase):
    """Everything but disk, sources and sockets is the real thing."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.log, self.event = self.make_log(), MemoryJournal()
        self.containers = Registry()
        self.feed = Feed(0)
        sources = self.sources = MeasuredSources()
        self.waits = Waits(
            self.clock,
            self.containers,
            SourceQueries(self.clock, sources.find, sources.is_live),
            sources.is_live,
            lambda: 0,
        )
        self.recorder = Recorder(
            self.log,
            self.event,
            self.containers,
            self.feed,
            lambda: 1432022743_500000,
            self.waits.changed,
            lambda type: None,
            lambda type: None,
        )
        self.users = self.mktemp()
        accounts = [Account("admin", "admin", CHEAP), Account("reader", "user", CHEAP)]
        write_users(self.users, accounts)
        tokens = iter(bytes([n]) * 32 for n in range(1, 255))
        self.sessions = Sessions(self.clock, lambda size: next(tokens))
        self.hashing = PasswordVerifier(self.make_threads())
        self.hashing.startService()
        self.addCleanup(self.hashing.stopService)
        calls = FreshCalls(self.in_thread)
        self.api = ApiServices(
            log=self.log,
            event=self.event,
            recorder=self.recorder,
            containers=ContainerLookup(self.containers, sources),
            waits=self.waits,
            feed=self.feed,
            accounts=AccountStore(self.users, self.hashing, calls),
            system_accounts=SystemAccounts(self.clock, calls),
            sessions=self.sessions,
            system=lambda: {"version": "1", "sources": {"docker": {"state": "live"}}},
            clock=self.clock,
            now_us=lambda: 1432022743_500000,
        )
        self.site = make_site(self.api, self.clock)
        self.agent = RequestTraversalAgent(None)
        # It would put a site of its own around a resource.
        self.agent._serverFactory = self.site
        self.token = self.sessions.create("admin", CHEAP, 0)
        self.wires: list[Wire] = []

    def make_log(self) -> MemoryJournal:
        """The journal of the log."""
        return MemoryJournal()

    def in_thread(self, function: Callable[[], Any]) -> Deferred[Any]:
        """How files are read and names are looked up."""
        return maybeDeferred(function)

    def make_threads(self) -> IHashingThreads:
        """What passwords are compared in."""
        return InlineThreads()

    def tearDown(self) -> None:
        for wire in self.wires:
            wire.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def login(self, name: str) -> None:
        self.token = self.sessions.create(name, CHEAP, 0)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Deferred[IResponse]:
        """Send a request; its answer comes when L{answer} is called."""
        given = Headers()
        for name, value in headers.items():
            given.addRawHeader(name.replace("_", "-"), value)
        if self.token:
            given.addRawHeader("Cookie", f"{COOKIE_NAME}={self.token}")
        data = None
        if body is not None:
            data = _Body(body if isinstance(body, bytes) else json.dumps(body).encode())
        uri = (BASE + path).encode()
        asked: Deferred[IResponse] = self.agent.request(method.encode(), uri, given, data)
        return asked

    def answer(self, asked: Deferred[IResponse]) -> Answered:
        """What came, and what is streamed after it."""
        self.settle()
        response = self.successResultOf(asked)
        reading = readBody(response)
        self.settle()
        headers = {
            name.decode().lower(): values[0].decode()
            for name, values in response.headers.getAllRawHeaders()
        }
        return Answered(response.code, headers, self.successResultOf(reading))

    def settle(self) -> None:
        """Let everything happen that takes no time."""
        for _ in range(100):
            self.agent.flush()
            self.clock.advance(0)

    def wire(self, transport: StringTransport | None = None) -> Wire:
        """A connection that is closed at the end of the test."""
        wire = Wire(self.site, transport)
        self.wires.append(wire)
        return wire

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answered:
        return self.answer(self.ask(method, path, body, **headers))

    def get(self, path: str) -> Any:
        answered = self.call("GET", path)
        self.assertEqual(answered.status, 200, answered.body)
        return answered.json

    def post(self, path: str, body: Any) -> Any:
        answered = self.call("POST", path, body)
        self.assertEqual(answered.status, 201, answered.body)
        return answered.json

    def problem(self, status: int, answered: Answered, detail: str = ".") -> Any:
        """Check that an answer is a problem document."""
        self.assertEqual(answered.status, status, answered.body)
        self.assertEqual(answered.headers["content-type"], "application/problem+json")
        self.assertEqual(answered.json["status"], status)
        self.assertRegex(answered.json["detail"], detail)
        return answered.json

    def records(self, journal: MemoryJournal) -> list[Record]:
        return list(journal._records)

    def happen(self, *actions: str, **fields: Any) -> None:
        for action in actions:
            self.successResultOf(self.recorder.observe([happened(action, **fields)]))
