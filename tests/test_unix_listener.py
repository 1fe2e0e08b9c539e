"""Unix sockets: whose they are, which mode they have, what stays of them."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import socket
import stat
import subprocess
import sys
import tempfile

from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from stationd.unix_listener import adopt_unix, listen_unix, set_mode


class Listener(TestCase):
    """A directory, the real reactor, and a factory of connections that close at once."""

    timeout = 60

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor = reactor
        # Not under trial's directory: a Unix socket's path can have 107 bytes.
        directory = tempfile.mkdtemp(prefix="stationd-")
        self.addCleanup(shutil.rmtree, directory)
        self.path = os.path.join(directory, "api.sock")
        self.factory = Factory.forProtocol(Protocol)
        self.factory.noisy = False

    def listen(self, mode: int = 0o660) -> IListeningPort:
        return listen_unix(self.path, mode, 50, self.factory, self.reactor)

    def exists(self) -> bool:
        return os.path.exists(self.path)

    def write(self, path: str, text: str = "") -> None:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def lock(self, path: str) -> None:
        """Lock a file for a moment; it must not be locked."""
        with open(path, encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def mode(self) -> int:
        return stat.S_IMODE(os.lstat(self.path).st_mode)

    def refusal(self) -> str:
        error = self.assertRaises(CannotListenError, self.listen)
        return str(error.socketError.strerror)

    def connect(self) -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)

    async def stop(self, port: IListeningPort) -> None:
        await maybeDeferred(port.stopListening)


class BoundTests(Listener):
    """Sockets that we make."""

    async def test_the_mode_is_what_was_asked_for(self) -> None:
        for umask in (0o000, 0o022, 0o077):
            before = os.umask(umask)
            try:
                port = self.listen(0o660)
            finally:
                os.umask(before)
            self.assertEqual(self.mode(), 0o660)
            self.connect()
            await self.stop(port)
            self.assertFalse(self.exists())

    async def test_the_lock_of_a_living_process_id_is_no_hindrance(self) -> None:
        for make in (
            lambda name: os.symlink("1", name),
            lambda name: os.symlink(str(os.getppid()), name),
        ):
            make(f"{self.path}.lock")
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(self.path)
            port = self.listen()
            self.connect()
            await self.stop(port)
            os.unlink(f"{self.path}.lock")
        self.write(f"{self.path}.lock", "1")
        await self.stop(self.listen())

    async def test_one_in_use_is_left_alone(self) -> None:
        port = self.listen()
        self.assertEqual(self.refusal(), f"{self.path} is in use by another stationd")
        os.unlink(f"{self.path}.lock")
        self.assertEqual(self.refusal(), f"{self.path} is in use by another process")
        self.connect()
        await self.stop(port)

    async def test_one_whose_backlog_is_full_is_in_use(self) -> None:
        with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as waiting:
            other.bind(self.path)
            other.listen(0)
            waiting.connect(self.path)
            self.assertEqual(self.refusal(), f"{self.path} is in use by another process")
        await self.stop(self.listen())

    async def test_the_path_of_another_is_not_removed(self) -> None:
        port = self.listen()
        os.unlink(self.path)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            await self.stop(port)
            self.assertTrue(self.exists())

    async def test_a_path_that_is_removed_meanwhile(self) -> None:
        port = self.listen()
        os.unlink(self.path)
        await self.stop(port)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_a_path_that_cannot_be_removed_is_unlocked_all_the_same(self) -> None:
        port = self.listen()
        directory = os.path.dirname(self.path)
        os.rename(directory, f"{directory}.moved")
        self.addCleanup(shutil.rmtree, f"{directory}.moved")
        self.write(directory)
        with capturedLogs() as logs:
            await self.stop(port)
        os.unlink(directory)
        os.mkdir(directory)
        self.assertEqual([event["path"] for event in logs if "path" in event], [self.path])
        self.lock(f"{directory}.moved/api.sock.lock")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_no_other_file_gets_the_mode(self) -> None:
        target = f"{self.path}.target"
        self.write(target)
        os.chmod(target, 0o600)
        os.symlink(target, self.path)
        error = self.assertRaises(OSError, set_mode, self.path, 0o666)
        self.assertRegex(str(error), "is not a socket")
        self.assertEqual(stat.S_IMODE(os.stat(target).st_mode), 0o600)
        before = len(os.listdir("/proc/self/fd"))
        self.assertRaises(OSError, set_mode, self.path, 0o666)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    async def test_a_failure_leaves_nothing_open(self) -> None:
        self.write(self.path)
        before = len(os.listdir("/proc/self/fd"))
        self.refusal()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        os.unlink(self.path)
        await self.stop(self.listen())

    def test_of_many_at_once_one_has_it(self) -> None:
        os.symlink("1", f"{self.path}.lock")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(self.path)
        program = (
            "import sys; from twisted.internet.testing import MemoryReactorClock as R\n"
            "from twisted.internet.protocol import Factory\n"
            "from stationd.unix_listener import listen_unix\n"
            "print('ready', flush=True); sys.stdin.readline()\n"
            "try:\n"
            "    listen_unix(sys.argv[1], 0o660, 50, Factory(), R()); print('mine', flush=True)\n"
            "except Exception as error: print(error.socketError.strerror, flush=True)\n"
            "sys.stdin.readline()\n"
        )
        command = [sys.executable, "-c", program, self.path]
        racing = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(6)
        ]
        said: list[str] = []
        for process in racing:
            assert process.stdout is not None
            self.assertEqual(process.stdout.readline(), "ready\n")
        for process in racing:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in racing:
            assert process.stdout is not None
            said.append(process.stdout.readline())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.path)
        for process in racing:
            process.communicate("\n")
        self.assertEqual(said.count("mine\n"), 1, said)
        self.assertEqual(sum("is in use by" in line for line in said), 5, said)

    async def test_without_descriptors_it_still_answers_or_refuses(self) -> None:
        port = self.listen()
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        held: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
        try:
            try:
                while True:
                    held.append(os.open("/dev/null", os.O_RDONLY))
            except OSError as error:
                self.assertEqual(error.errno, errno.EMFILE)
            client.connect(self.path)
            # Twisted frees its reserved descriptor, accepts, and closes the connection: it
            # has to have been reserved.
            client.setblocking(False)
            for _ in range(200):
                try:
                    self.assertEqual(client.recv(1), b"")
                    break
                except BlockingIOError:
                    await deferLater(self.reactor, 0.01)
            else:
                self.fail("neither answered nor refused")
        finally:
            for descriptor in held:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        await self.stop(port)
        self.flushLoggedErrors()


class AdoptedTests(Listener):
    """Sockets that systemd made. This holds the private names of Twisted's that we set."""

    async def test_nothing_of_it_is_changed(self) -> None:
        with socket.socket(socket.AF_UNIX) as passed:
            passed.bind(self.path)
            os.chmod(self.path, 0o640)
            passed.listen()
            before = os.lstat(self.path)
            for _ in range(3):
                port = adopt_unix(passed.fileno(), self.factory, self.reactor)
                self.assertEqual(os.lstat(self.path), before)
                self.connect()
                await self.stop(port)
                self.assertEqual(os.lstat(self.path), before)
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(self.path)
