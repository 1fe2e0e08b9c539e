"""Which cgroups a container is in, by what its monitor answers."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Sequence

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd_plugins.host import cgroups, process
from stationd_plugins.lxc import command, place
from stationd_plugins.lxc.scan import is_frozen, look
from tests.plugins.test_lxc_command import exhausted, once_answered

REQUEST = struct.Struct("iiQ")

VALUES = {command.GET_STATE: command.STATES.index("RUNNING"), command.GET_INIT_PID: os.getpid()}
"""What is answered beside a text."""


class Monitor(threading.Thread):
    """What answers on the command socket of a container, as C{src/lxc/commands.c} does.

    @param answers: by the number of the request; the connection is closed on others.
    @param controllers: those that it knows, C{None} for all.
    @ivar asked: the requests and their data.
    @ivar mute: the requests that are not answered, and whose connections stay open.
    """

    def __init__(
        self,
        path: str,
        name: str,
        answers: dict[int, bytes],
        controllers: Sequence[bytes] | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self._controllers = controllers
        self.asked: list[tuple[int, bytes]] = []
        self.mute: set[int] = set()
        self._waiting: list[socket.socket] = []
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(command.address(path, name))
        self._listener.listen()
        self.start()

    def run(self) -> None:
        """Until the listener is closed."""
        while True:
            # accept(2) takes a descriptor before it waits, and fails where there is none.
            try:
                select.select([self._listener], [], [])
                connection, _ = self._listener.accept()
            except (OSError, ValueError):
                return
            with contextlib.suppress(OSError):
                # Whoever asked may have given up.
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            request = connection.recv(REQUEST.size)
            if not request:
                return
            number, length, _ = REQUEST.unpack(request)
            data = connection.recv(length) if length else b""
            self.asked.append((number, data))
            if number in self.mute:
                stack.pop_all()
                self._waiting.append(connection)
                return
            is_known = self._controllers is None or data.rstrip(b"\0") in self._controllers
            if number in self._answers and is_known:
                text = self._answers[number]
                connection.sendall(REQUEST.pack(0, len(text), VALUES.get(number, 0)) + text)

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join()
        for connection in self._waiting:
            connection.close()


class PlaceTests(SynchronousTestCase):
    """A run whose first process is ours."""

    def setUp(self) -> None:
        self.path = os.path.abspath(self.mktemp())
        self.memory = f"{self.path}/memory"
        for made in ("limits/inner/init.scope", "old/init.scope"):
            os.makedirs(f"{self.memory}/{made}")
        self.layout = cgroups.Layout("", {"memory": self.memory})
        self.init = attrs.evolve(process.read_stat(os.getpid()), parent=os.getpid())

    def monitor(self, **answers: bytes) -> Monitor:
        numbers = {getattr(command, name): text for name, text in answers.items()}
        monitor = Monitor(self.path, "one", numbers)
        self.addCleanup(monitor.close)
        return monitor

    def found(self, run: str = "run") -> dict[str, str]:
        # Each test's path is another, so nothing is remembered from one to the next.
        return once_answered(lambda: place.of_run(self.layout, self.path, "one", run, self.init))

    def test_that_which_has_the_limits(self) -> None:
        monitor = self.monitor(GET_LIMIT_CGROUP=b"/limits\0", GET_CGROUP=b"/limits/inner\0")
        self.assertEqual(self.found(), {"memory": "/limits"})
        self.assertEqual({*monitor.asked}, {(command.GET_LIMIT_CGROUP, b"memory\0")})
        asked = len(monitor.asked)
        for _ in range(3):
            self.assertEqual(self.found(), {"memory": "/limits"})
        self.assertEqual(len(monitor.asked), asked, "once")

    def test_an_older_monitor_knows_one_only(self) -> None:
        self.monitor(GET_CGROUP=b"/old\0")
        self.assertEqual(self.found(), {"memory": "/old"})

    def test_every_spelling_of_a_path(self) -> None:
        os.makedirs(f"{self.memory}/lxc.payload.c1-1")
        os.makedirs(os.fsencode(f"{self.memory}/") + b"caf\xe9")
        for text, expected in (
            # With v2 alone LXC leaves out the slash.
            (b"limits\0", "/limits"),
            (b"limits/inner\0", "/limits/inner"),
            (b"lxc.payload.c1-1\0", "/lxc.payload.c1-1"),
            (b"limits", "/limits"),
            (b"/limits/\0", "/limits"),
            (b"limits/\0\0\0", "/limits"),
            (b"//limits//inner/\0", "/limits/inner"),
            (b"./limits\0", "/limits"),
            (b"limits\0rubbish", "/limits"),
            (b"caf\xe9\0", "/caf\udce9"),
        ):
            monitor = Monitor(self.path, "one", {command.GET_CGROUP: text})
            found = self.found(str(text))
            self.assertEqual(found, {"memory": expected}, text)
            monitor.close()

    def test_an_answer_that_is_of_no_use(self) -> None:
        for text in (
            b"/\0",
            b"/not/there\0",
            b"relative\0",
            b"",
            b"\0",
            b".\0",
            b"/..\0",
            b"../memory/limits\0",
            b"limits/../limits\0",
        ):
            monitor = Monitor(self.path, "one", {command.GET_LIMIT_CGROUP: text})
            found = self.found(str(text))
            # Where the first process is, and that is where its monitor is.
            self.assertEqual(found, {})
            monitor.close()

    def test_that_of_the_first_process(self) -> None:
        first = {"memory": "/lxc/one", "freezer": "/user", "cpuacct": "/"}
        monitor = {"memory": "/", "freezer": "/user", "cpuacct": "/lxc"}
        self.assertEqual(place.apart(first, monitor), {"memory": "/lxc/one"})

    def test_a_monitor_that_sees_another_root(self) -> None:
        for said, member, expected in (
            ("/c1", "/c1/init.scope", "/c1"),
            ("/c1", "/c1", "/c1"),
            ("/c1", "/user.slice/c1/init.scope", "/user.slice/c1"),
            ("/a/c1", "/user.slice/a/c1", "/user.slice/a/c1"),
            ("/c1", "/c1/below/c1", "/c1"),
            # Names of which one begins, or ends, as the other.
            ("/c1", "/c1-1/init.scope", "/c1"),
            ("/c1", "/xc1/init.scope", "/c1"),
            ("/c1", "/", "/c1"),
            ("/c1", "", "/c1"),
        ):
            self.assertEqual(place.seen_from_here(said, member), expected, member)

    def test_a_process_outside_of_our_namespace(self) -> None:
        first = {"": "/../lxc/one", "memory": "/lxc/one..two"}
        self.assertEqual(place.apart(first, {}), {"memory": "/lxc/one..two"})

    def test_a_user_has_few_of_the_controllers(self) -> None:
        said = {command.GET_LIMIT_CGROUP: b"/limits\0"}
        for number, (v1, controllers) in enumerate(
            [
                ((), [b"freezer", b"memory", b"pids"]),
                ((), [b"memory", b"pids"]),
                # What v1 has is not asked for: it would be that of another hierarchy.
                (("freezer", "memory"), [b"freezer", b"memory", b"pids"]),
                (("freezer", "memory", "pids"), [b"freezer", b"memory", b"pids", b""]),
                (("freezer", "memory", "pids", "cpuset"), [b"freezer", b"cpuset", b"hugetlb"]),
            ]
        ):
            mounts = dict.fromkeys(v1, "/nowhere")
            self.layout = cgroups.Layout(self.memory, mounts, ("cpuset", "hugetlb"))
            monitor = Monitor(self.path, "one", said, controllers)
            found = self.found(str(number))
            monitor.close()
            self.assertEqual(found, {"": "/limits"})

    def test_a_moment_without_descriptors_is_not_remembered(self) -> None:
        self.monitor(GET_LIMIT_CGROUP=b"/limits\0")
        directory = f"{self.memory}/limits"
        with exhausted():
            self.assertRaises(OSError, self.found)
            self.assertRaises(OSError, is_frozen, directory)
            self.assertRaises(OSError, cgroups.oom_kill_count, directory)
        self.assertEqual(self.found(), {"memory": "/limits"})

    def test_a_monitor_that_does_not_say_where_is_silent(self) -> None:
        directory = f"{self.path}/one"
        os.makedirs(directory)
        with open(f"{self.memory}/limits/memory.events", "w", encoding="ascii") as file:
            file.write("oom_kill 3\n")
        monitor = self.monitor(GET_STATE=b"", GET_INIT_PID=b"", GET_LIMIT_CGROUP=b"/limits\0")
        monitor.mute.add(command.GET_LIMIT_CGROUP)
        seen = look(self.path, "one", self.layout)
        assert seen is not None
        self.assertTrue(seen.is_silent, "another place would be measured for it")
        monitor.mute.clear()

        def answered() -> dict[str, str]:
            seen = look(self.path, "one", self.layout)
            assert seen is not None
            if seen.is_silent:
                raise TimeoutError
            self.assertEqual(seen.ooms, 3)
            return {**seen.cgroups}

        self.assertEqual(once_answered(answered), {"memory": "/limits"})

    def test_a_path_that_goes_meanwhile_is_not_remembered(self) -> None:
        self.monitor(GET_LIMIT_CGROUP=b"/limits\0")
        memory = f"{os.path.dirname(self.path)}/memory"
        os.rename(self.memory, memory)
        self.layout = cgroups.Layout("", {"memory": memory})
        os.rename(self.path, f"{self.path}-away")
        self.assertRaises(FileNotFoundError, self.found)
        os.rename(f"{self.path}-away", self.path)
        self.assertEqual(self.found(), {"memory": "/limits"})

    def test_a_process_that_is_gone(self) -> None:
        self.init = attrs.evolve(self.init, pid=2**22 + 1)
        self.assertRaises(OSError, self.found)
