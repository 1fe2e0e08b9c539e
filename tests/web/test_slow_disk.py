"""A disk or a name service that does not answer: only who needs it waits."""

from __future__ import annotations

import os
import pwd
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from stationd.interfaces import Query, Waiting
from stationd.records import Record
from stationd.testing import MemoryJournal
from stationd.web.fresh_calls import FreshCalls
from stationd.web.system_accounts import FRESH_SECONDS, SystemAccounts, account_name
from stationd.web.users_file import Account, write_users
from tests.web.station import CHEAP, StationCase, Wire
from tests.web.test_fresh_calls import HeldCalls


class UsersFileTests(StationCase):
    """The disk of the users file."""

    def setUp(self) -> None:
        self.threads = HeldCalls()
        super().setUp()
        self.post_record()

    def in_thread(self, function: Callable[[], Any]) -> Deferred[Any]:
        return self.threads(function)

    def post_record(self) -> None:
        asked = self.ask("POST", "/api/v1/log", {"category": "a", "message": "kept"})
        self.wake()
        self.assertEqual(self.answer(asked).status, 201)

    def wake(self) -> None:
        """The disk answers."""
        self.settle()
        while self.threads.begun:
            self.threads.finish()

    def test_only_who_has_a_session_waits(self) -> None:
        asked = self.ask("GET", "/api/v1/log")
        self.settle()
        self.assertNoResult(asked)
        token, self.token = self.token, ""
        self.assertEqual(self.answer(self.ask("GET", "/healthz")).status, 200)
        self.assertEqual(self.answer(self.ask("GET", "/api/v1/log")).status, 401)
        self.token = token
        self.wake()
        self.assertEqual(len(self.answer(asked).json), 1)

    def test_an_account_that_is_gone_by_then(self) -> None:
        write_users(self.users, [Account("reader", "user", CHEAP)])
        asked = self.ask("DELETE", "/api/v1/log")
        self.wake()
        self.assertEqual(self.answer(asked).status, 401)
        self.assertEqual(self.log.status().records, 1)

    def test_an_account_that_may_not_any_more(self) -> None:
        write_users(self.users, [Account("admin", "user", CHEAP)])
        asked = self.ask("DELETE", "/api/v1/log")
        self.wake()
        self.assertEqual(self.answer(asked).status, 403)
        self.assertEqual(self.log.status().records, 1)

    def test_an_account_that_may_now(self) -> None:
        self.login("reader")
        write_users(self.users, [Account("reader", "admin", CHEAP)])
        asked = self.ask("DELETE", "/api/v1/log")
        self.wake()
        # It was refused by its headers; what was read for it counts for the next.
        self.assertEqual(self.answer(asked).status, 403)
        asked = self.ask("DELETE", "/api/v1/log")
        self.wake()
        self.assertEqual(self.answer(asked).status, 200)

    def test_a_client_that_leaves_meanwhile_does_nothing(self) -> None:
        wire = self.wire()
        head = f"DELETE /api/v1/log HTTP/1.1\r\nHost: x\r\nCookie: stationd_session={self.token}"
        wire.send(f"{head}\r\n\r\n".encode())
        wire.close()
        self.wires.remove(wire)
        self.wake()
        self.assertEqual(self.log.status().records, 1)

    def test_a_login_waits_for_the_file_as_it_is(self) -> None:
        self.token = ""
        write_users(self.users, [])
        form = b"username=admin&password=x"
        asked = self.ask("POST", "/api/v1/login", form)
        self.settle()
        self.assertNoResult(asked)
        self.wake()
        self.assertEqual(self.answer(asked).status, 401)


class SystemAccountsTests(SynchronousTestCase):
    """The names of who comes over a Unix socket."""

    def setUp(self) -> None:
        self.clock, self.threads = Clock(), HeldCalls()
        self.accounts = SystemAccounts(self.clock, FreshCalls(self.threads))

    def name(self, uid: int) -> Deferred[str]:
        return Deferred.fromCoroutine(self.accounts.name(uid))

    def test_a_name_is_looked_up_once_a_minute(self) -> None:
        uid = os.getuid()
        first = self.name(uid)
        self.assertNoResult(first)
        self.threads.finish()
        name = pwd.getpwuid(uid).pw_name
        self.assertEqual(self.successResultOf(first), name)
        self.assertEqual(self.successResultOf(self.name(uid)), name)
        self.clock.advance(FRESH_SECONDS)
        self.assertNoResult(self.name(uid))

    def test_one_that_hangs_holds_up_nobody_else(self) -> None:
        hanging, other = self.name(4_000_000), self.name(4_000_001)
        self.threads.finish(1)
        self.assertEqual(self.successResultOf(other), "uid-4000001")
        self.assertNoResult(hanging)

    def test_a_number_without_a_name(self) -> None:
        self.assertEqual(account_name(4_000_000), "uid-4000000")


class SlowJournal(MemoryJournal):
    """A journal whose disk has to be waited for.

    @ivar asleep: what waits for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asleep: list[Deferred[None]] = []

    def select_without_waiting(self, query: Query) -> Iterator[list[Record]]:
        for found in self.select(query):
            self.asleep.append(Deferred())
            yield Waiting(self.asleep[-1])
            yield found


class JournalTests(StationCase):
    """The disk of a journal."""

    def make_log(self) -> MemoryJournal:
        self.journal = SlowJournal()
        return self.journal

    def setUp(self) -> None:
        super().setUp()
        items = [{"category": "a", "message": f"{n:03d}"} for n in range(250)]
        self.assertEqual(self.answer(self.ask("POST", "/api/v1/log", items)).status, 201)

    def wake(self) -> None:
        self.settle()
        while self.journal.asleep:
            self.journal.asleep.pop().callback(None)
            self.settle()

    def test_a_query_waits_and_others_do_not(self) -> None:
        asked = self.ask("GET", "/api/v1/log?limit=150")
        self.settle()
        self.assertNoResult(asked)
        self.assertEqual(self.answer(self.ask("GET", "/healthz")).status, 200)
        self.wake()
        self.assertEqual(len(self.answer(asked).json), 150)

    def export(self, encoding: str) -> tuple[Wire, IPushProducer]:
        """An export that has begun, and what makes it."""
        wire = self.wire()
        head = "GET /api/v1/log/export HTTP/1.1\r\nHost: x\r\nConnection: close"
        cookie = f"Cookie: stationd_session={self.token}\r\nAccept-Encoding: {encoding}"
        wire.send(f"{head}\r\n{cookie}\r\n\r\n".encode())
        self.settle()
        self.assertFalse(wire.closed)
        producer = wire.transport.producer
        assert producer is not None
        return wire, producer

    def lines(self, wire: Wire) -> int:
        """How many lines have come, of a whole answer in chunks."""
        self.assertTrue(wire.closed)
        head, _, left = wire.received().partition(b"\r\n\r\n")
        body = b""
        while left:
            size, _, left = left.partition(b"\r\n")
            body, left = body + left[: int(size, 16)], left[int(size, 16) + 2 :]
        return (zlib.decompress(body, 31) if b"gzip" in head else body).count(b"\n")

    def test_an_export_goes_on_where_it_was(self) -> None:
        for encoding in ("identity", "gzip"):
            wire, producer = self.export(encoding)
            # What the client does meanwhile changes nothing.
            producer.pauseProducing()
            producer.resumeProducing()
            self.wake()
            self.assertEqual(self.lines(wire), 251, encoding)

    def test_a_client_that_takes_no_more_meanwhile(self) -> None:
        wire, producer = self.export("identity")
        producer.pauseProducing()
        self.journal.asleep.pop().callback(None)
        self.settle()
        self.assertEqual(self.journal.asleep, [])
        producer.resumeProducing()
        self.wake()
        self.assertEqual(self.lines(wire), 251)

    def test_a_client_that_leaves_meanwhile(self) -> None:
        wire, producer = self.export("identity")
        producer.stopProducing()
        wire.close()
        self.wires.remove(wire)
        self.wake()
        self.assertEqual(self.journal.asleep, [])
