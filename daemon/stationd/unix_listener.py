"""Unix sockets to listen on: bound under a lock, or adopted from systemd.

Twisted decides whether a socket file is stale by the process id in a lock file, which
another process has in a container or after a copy; and it changes the mode of a socket that
it adopts, and removes it at the end. Neither happens here.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable

import attrs
from twisted.internet import tcp, unix
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from stationd.messages import file_reason_messages
from stationd.messages.log_messages import SOCKET_REMOVE_FAILED

_log = Logger()


class UnixPort(unix.Port):
    """A port over a Unix socket that listens already.

    It changes no mode and no path, and does not shut the socket down: another process
    may hold the same socket.

    @param name: how the log shows it.
    @param released: called once the socket is closed.
    """

    # Of Twisted's _SocketCloser; a test holds it to what it does.
    _shouldShutdown = False

    def __init__(
        self,
        listening: socket.socket,
        name: str,
        factory: IProtocolFactory,
        reactor: object,
        released: Callable[[], object],
    ) -> None:
        super().__init__(os.fsencode(name), factory, reactor=reactor)
        self._listening = listening
        self._released = released

    def startListening(self) -> None:
        """Accept connections from now on."""
        # What Twisted's accept loop takes refuge to when no descriptor is left.
        tcp._reservedFD.reserve()
        self._listening.setblocking(False)
        self.factory.doStart()  # type: ignore[union-attr]
        self.socket = self._listening
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.connected = True
        self.numberAccepts = 100
        self.startReading()

    def connectionLost(self, reason: object) -> None:
        """Close it. Not as L{unix.Port} does, which removes the path."""
        tcp.Port.connectionLost(self, reason)
        self._released()


@attrs.frozen
class BoundPath:
    """The path of a socket that we made, ours while its lock is held.

    @ivar lock: the descriptor of the lock file. That file stays: whoever removed it
        could remove one that another process has locked meanwhile.
    @ivar identity: device and inode of the socket.
    """

    path: str
    lock: int
    identity: tuple[int, int]

    def release(self) -> None:
        """Remove the path unless it is another socket by now, and unlock it."""
        try:
            status = os.lstat(self.path)
            if (status.st_dev, status.st_ino) == self.identity:
                os.unlink(self.path)
        except FileNotFoundError:
            pass
        except OSError as error:
            SOCKET_REMOVE_FAILED.emit(_log, path=self.path, error=error)
        finally:
            os.close(self.lock)


def listen_unix(
    path: str, mode: int, backlog: int, factory: IProtocolFactory, reactor: object
) -> IListeningPort:
    """Make a socket and listen on it. One that was left behind is replaced.

    @param mode: its permissions; at no time has it wider ones.
    @raise CannotListenError: the path is in use, is no socket, or cannot be made.
    """
    try:
        lock = _acquire_lock(path)
    except OSError as error:
        raise CannotListenError(None, path, error) from error
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, lock)
        listening = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            _remove_stale(path)
            # Linux gives the file the mode of the unbound socket, less the umask.
            os.fchmod(listening.fileno(), mode)
            listening.bind(path)
            bound = BoundPath(path, lock, set_mode(path, mode))
            undo.callback(os.unlink, path)
            listening.listen(backlog)
        except OSError as error:
            raise CannotListenError(None, path, error) from error
        undo.pop_all()
    port = UnixPort(listening, path, factory, reactor, bound.release)
    port.startListening()
    return port


def adopt_unix(descriptor: int, factory: IProtocolFactory, reactor: object) -> IListeningPort:
    """Listen on a Unix socket that systemd has passed, and leave it as it is."""
    listening = socket.socket(fileno=os.dup(descriptor))
    name = os.fsdecode(listening.getsockname())
    shown = f"@{name[1:]}" if name.startswith("\0") else name
    port = UnixPort(listening, shown.replace("\0", "@"), factory, reactor, lambda: None)
    port.startListening()
    return port


def _acquire_lock(path: str) -> int:
    """The locked lock file of a path, as a descriptor."""
    name = f"{path}.lock"
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        lock = os.open(name, flags, 0o600)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        _remove_old_lock(name)
        lock = os.open(name, flags, 0o600)
    try:
        _flock(lock, path)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _remove_old_lock(name: str) -> None:
    """Remove the lock of a Twisted before, a symbolic link to a process id. Under a lock of
    the directory: of two that start at once, the second would remove the first's new lock."""
    directory = os.open(os.path.dirname(name) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _flock(directory, name)
        if os.path.islink(name):
            os.unlink(name)
    finally:
        os.close(directory)


def _flock(descriptor: int, path: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        said = file_reason_messages.SOCKET_IN_USE_BY_STATIOND.render(path=path)
        raise OSError(errno.EADDRINUSE, said) from None


def _remove_stale(path: str) -> None:
    """Remove a socket on which no process listens.

    @raise OSError: something else is at the path, or a process listens on it.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, file_reason_messages.SOCKET_PATH_NOT_A_SOCKET.render(path=path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A full backlog must not hold us up: EAGAIN, and somebody listens.
        probe.setblocking(False)
        if probe.connect_ex(path) == errno.ECONNREFUSED:
            os.unlink(path)
            return
    said = file_reason_messages.SOCKET_IN_USE.render(path=path)
    raise OSError(errno.EADDRINUSE, said)


def set_mode(path: str, mode: int) -> tuple[int, int]:
    """Change the mode of a socket, and of no other file that was put in its place.

    @return: its device and inode.
    @raise OSError: there is no socket at the path.
    """
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.EEXIST, file_reason_messages.PATH_REPLACED.render(path=path))
        # Linux has no fchmod for such a descriptor.
        os.chmod(f"/proc/self/fd/{descriptor}", mode)
        return status.st_dev, status.st_ino
    finally:
        os.close(descriptor)
