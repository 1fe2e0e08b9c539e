"""What lxc-monitord says."""

from __future__ import annotations

import os
import socket
import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import defer
from twisted.trial.unittest import SynchronousTestCase, TestCase

from stationd_plugins.lxc.command import STATES
from stationd_plugins.lxc.monitord import MAX_WORDS, Client, Heard, Message, address, messages
from stationd_plugins.lxc.words import Word


def packed(type: int, name: str, value: int) -> bytes:
    return struct.pack("=i256si", type, name.encode(), value)


class MessageTests(SynchronousTestCase):
    """Bytes."""

    def test_messages(self) -> None:
        data = packed(0, "one", 2) + packed(2, "one", 9) + packed(1, "one", 7) + packed(0, "x", 99)
        self.assertEqual(
            list(messages(data)), [Message("one", state="RUNNING"), Message("one", status=9)]
        )

    @given(st.binary(max_size=600))
    def test_anything_can_be_read(self, data: bytes) -> None:
        for message in messages(data[: len(data) // 264 * 264]):
            self.assertTrue(message.state in STATES or message.status is not None)

    def test_its_address(self) -> None:
        # As lxc-monitord 5.0 binds it for this path.
        self.assertEqual(address("/var/lib/lxc"), b"\0lxc/ad055575fe28ddd5//var/lib/lxc")
        self.assertEqual(len(address("/" + "x" * 200)), 107)


class HeardTests(SynchronousTestCase):
    """What becomes of messages."""

    def told(self, *messages: str | int) -> Heard:
        heard = Heard()
        for time_us, one in enumerate(messages, 1):
            message = Message("one", status=one) if isinstance(one, int) else Message("one", one)
            heard.hear(message, time_us)
        return heard

    def test_a_run(self) -> None:
        heard = self.told("STARTING", "RUNNING", 3 << 8, "STOPPING", "STOPPED")
        self.assertEqual(heard.end("one"), {"exitCode": 3})
        self.assertEqual(heard.take("one"), [Word(2, True), Word(5, False, {"exitCode": 3})])
        self.assertEqual(heard.take("one"), [], "each once")
        heard.hear(Message("one", "STARTING"), 9)
        self.assertEqual(heard.end("one"), {}, "the next one has not ended")

    def test_what_is_no_run(self) -> None:
        for told in (
            ("STARTING", "ABORTING", "STOPPED"),
            ("FREEZING", "FROZEN", "FROZEN", "THAWED", "THAWED", "RUNNING"),
        ):
            self.assertEqual(self.told(*told).take("one"), [])

    def test_a_reboot(self) -> None:
        words = self.told(1, "STOPPING", "STOPPED", "STARTING", "RUNNING").take("one")
        self.assertEqual(words, [Word(3, False, {"exitCode": 0}, reboots=True), Word(5, True)])

    def test_a_power_off(self) -> None:
        heard = self.told("STARTING", "RUNNING", 2, "STOPPING", "STOPPED")
        self.assertEqual(heard.take("one"), [Word(2, True), Word(5, False, {"exitCode": 0})])

    def test_words_since_a_scan(self) -> None:
        heard = self.told("STARTING", "RUNNING")
        self.assertTrue(heard.since_scan("one"))
        heard.scanning(first=False)
        self.assertFalse(heard.since_scan("one"))
        self.assertEqual(len(heard.take("one")), 1)
        for state in ("FREEZING", "FROZEN", "THAWED", "RUNNING"):
            self.assertFalse(self.told(state).since_scan("one"), "it is no word about a run")
        heard = self.told("STARTING", "RUNNING")
        heard.scanning(first=True)
        self.assertEqual(heard.take("one"), [])

    def test_no_more_is_kept_than_is_of_use(self) -> None:
        heard = self.told(*["STARTING", "RUNNING", "STOPPED"] * MAX_WORDS)
        self.assertEqual(len(heard.take("one")), MAX_WORDS)

    def test_how_it_ended(self) -> None:
        for status, expected in (
            (0, {"exitCode": 0}),
            (256, {"exitCode": 1}),
            # It said so itself, as a shell does whose child was interrupted.
            (130 << 8, {"exitCode": 130}),
            (129 << 8, {"exitCode": 129}),
            # reboot(2) was called, to power off and to reboot.
            (2, {"exitCode": 0}),
            (1, {"exitCode": 0}),
            (15, {"exitCode": 143, "signal": "SIGTERM"}),
            (9, {"exitCode": 137, "signal": "SIGKILL"}),
            (11 | 0x80, {"exitCode": 139, "signal": "SIGSEGV"}),
            (64, {"exitCode": 192, "signal": "SIGRTMAX"}),
            (0x7F, {}),
        ):
            self.assertEqual(self.told(status).end("one"), expected)
        self.assertEqual(Heard().end("other"), {})


class ClientTests(TestCase):
    """A socket."""

    timeout = 10

    async def test_messages_in_pieces_and_the_end(self) -> None:
        from twisted.internet import reactor

        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        number = ours.fileno()
        told: list[Message] = []
        lost: defer.Deferred[Client] = defer.Deferred()
        client = Client(reactor, ours, "/lxc", lambda _, more: told.extend(more), lost.callback)
        data = packed(0, "one", 2) + packed(0, "one", 0)
        for at, end in ((0, 100), (100, 300), (300, len(data))):
            theirs.sendall(data[at:end])
        theirs.close()
        self.assertIs(await lost, client)
        self.assertEqual([message.state for message in told], ["RUNNING", "STOPPED"])
        self.assertEqual(client.fileno(), -1)
        self.assertRaises(OSError, os.fstat, number)
