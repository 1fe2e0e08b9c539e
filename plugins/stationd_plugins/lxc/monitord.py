"""lxc-monitord: what the monitors of an LXC path tell. It knows what no scan can see: runs
that are over in milliseconds, and how the first process ended.

From LXC's C{src/lxc/monitor.c} and C{lxc_monitord.c}: an abstract socket for each path; messages
are C{struct lxc_msg}: C{int type; char name[256]; int value}. It ends by itself half a minute
after its last client. One that does not read is waited for, in the end by whoever freezes a
container: so read always. It may be killed: never trust it alone.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Collection, Iterator

import attrs
from twisted.internet.interfaces import IReactorFDSet

from stationd.records import JsonValue
from stationd_plugins.host.process import signal_name
from stationd_plugins.lxc.command import STATES, fnv64a
from stationd_plugins.lxc.readable import Readable
from stationd_plugins.lxc.words import Word

STATE, EXIT_STATUS = 0, 2
"""C{lxc_msg_state}, C{lxc_msg_exit_code}."""

_MESSAGE = struct.Struct("=i256si")

READ_BYTES = 65_536

FREEZES = frozenset(["FREEZING", "FROZEN", "THAWED"])
"""States that say nothing of runs. A scan that is older than they are is right about these; who
is frozen, the next one tells."""

POWER_OFF, REBOOT = signal.SIGINT, signal.SIGHUP
"""What the first process of a PID namespace ends by after a call of reboot(2) in it; no signal that
is sent to it does that (pid_namespaces(7)). LXC takes them for no more than this, too
(C{__lxc_start}), also if the namespace is another container's, where they may have been sent."""

MAX_WORDS = 1000
"""What is kept of a container between two scans: more runs than fit between them."""


@attrs.frozen
class Message:
    """What a monitor says of its container.

    @ivar state: one of L{STATES}, C{""} if it is about something else.
    @ivar status: the wait status of its first process (wait(2)), if it says so.
    """

    name: str
    state: str = ""
    status: int | None = None


def messages(data: bytes) -> Iterator[Message]:
    """The messages in a multiple of their size of bytes."""
    for type, name, value in _MESSAGE.iter_unpack(data):
        text = os.fsdecode(name.partition(b"\0")[0])
        if type == STATE and 0 <= value < len(STATES):
            yield Message(text, state=STATES[value])
        elif type == EXIT_STATUS:
            yield Message(text, status=value)


def address(path: str) -> bytes:
    """The abstract address of its socket: a hash, and as much of the path as fits."""
    whole = os.fsencode(f"lxc/{path}/monitor-sock")
    return (b"\0lxc/%016x/" % fnv64a(whole) + os.fsencode(path))[:107]


class Client(Readable):
    """A connection.

    @param path: the LXC path that it is about.
    @param told: called with the messages that came.
    @param lost: called with itself when it has ended.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        connection: socket.socket,
        path: str,
        told: Callable[[Client, list[Message]], None],
        lost: Callable[[Client], None],
    ) -> None:
        self._connection = connection
        self.path = path
        self._told = told
        self._lost = lost
        self._rest = b""
        super().__init__(reactor, connection, lambda _: self._lost(self))

    def doRead(self) -> None:
        """Some came, or it has ended."""
        try:
            data = self._connection.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            self._lost(self)
            return
        data = self._rest + data
        whole = len(data) - len(data) % _MESSAGE.size
        self._rest = data[whole:]
        self._told(self, list(messages(data[:whole])))


class Heard:
    """What was told of the runs of each container, for a
    L{stationd_plugins.lxc.tracker.Tracker}."""

    def __init__(self) -> None:
        self.listening = False
        self._words: dict[str, list[Word]] = {}
        self._starting: set[str] = set()
        self._statuses: dict[str, int] = {}
        self._since_scan: set[str] = set()

    def scanning(self, first: bool) -> None:
        """A scan begins.

        @param first: what was said before it does not matter any more.
        """
        self._since_scan.clear()
        if first:
            self._words.clear()

    @property
    def is_disturbed(self) -> bool:
        """Whether anything was said of runs since the scan began."""
        return bool(self._since_scan)

    def since_scan(self, name: str) -> bool:
        """See L{stationd_plugins.lxc.words.Words.since_scan}."""
        return name in self._since_scan

    def take(self, name: str) -> list[Word]:
        """See L{stationd_plugins.lxc.words.Words.take}."""
        return self._words.pop(name, [])

    def forget(self, names: Collection[str]) -> None:
        """See L{stationd_plugins.lxc.words.Words.forget}."""
        useless = {*self._words, *self._statuses, *self._starting} - {*names} - self._since_scan
        for name in useless:
            self._words.pop(name, None)
            self._statuses.pop(name, None)
            self._starting.discard(name)

    def deafen(self) -> None:
        """A connection was lost: what is said next may be about another run."""
        self._statuses.clear()
        self._starting.clear()

    def hear(self, message: Message, now_us: int) -> None:
        """Take in a message."""
        name = message.name
        if message.state not in FREEZES and (message.state != "RUNNING" or name in self._starting):
            self._since_scan.add(name)
        if message.status is not None:
            self._statuses[name] = message.status
        elif message.state == "STARTING":
            self._starting.add(name)
            self._statuses.pop(name, None)
        elif message.state == "RUNNING" and name in self._starting:
            # The same is said of one that was frozen.
            self._starting.discard(name)
            self._put(name, Word(now_us, True))
        elif message.state == "STOPPED" and name in self._starting:
            # A start that failed is none.
            self._starting.discard(name)
        elif message.state == "STOPPED":
            reboots = _signal(self._statuses.get(name, 0)) == REBOOT
            self._put(name, Word(now_us, False, self.end(name), reboots))

    def _put(self, name: str, word: Word) -> None:
        words = self._words.setdefault(name, [])
        words.append(word)
        # Of one that no scan ever finds.
        del words[:-MAX_WORDS]

    def end(self, name: str) -> dict[str, JsonValue]:
        """How the last run ended, as details of an observation; nothing if nobody told. A power-off
        is a clean end, as is the run before a reboot."""
        status = self._statuses.get(name)
        if status is None:
            return {}
        number = _signal(status)
        if number in (POWER_OFF, REBOOT):
            return {"exitCode": 0}
        if number:
            return {"exitCode": 128 + number, "signal": signal_name(number)}
        return {"exitCode": os.WEXITSTATUS(status)} if os.WIFEXITED(status) else {}


def _signal(status: int) -> int:
    """What a process was ended by, 0 if by no signal."""
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
