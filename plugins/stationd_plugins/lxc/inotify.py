"""inotify as a reactor's file descriptor.

Twisted's own drops C{IN_Q_OVERFLOW} without a word (twisted/twisted#6722), and the
deletion of one watched directory ends its other watches. Here everything that the
kernel says arrives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from inotify_simple import INotify
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorFDSet
from twisted.python.failure import Failure


class Watcher(FileDescriptor):
    """Watches, and a callback for what happens to them.

    @param happened: called with each batch of inotify_simple's events
        (C{wd, mask, cookie, name}).
    """

    def __init__(
        self, reactor: IReactorFDSet, happened: Callable[[Sequence[object]], None]
    ) -> None:
        super().__init__(reactor)
        self._inotify = INotify(nonblocking=True)
        self._happened = happened
        self.connected = True
        self.startReading()

    def fileno(self) -> int:
        """The kernel's descriptor; -1 when closed."""
        return -1 if self._inotify.closed else int(self._inotify.fileno())

    def watch(self, path: str, mask: int) -> int | None:
        """Watch a file or directory; C{None} if it is not there. The same one gets
        the same number again."""
        try:
            return int(self._inotify.add_watch(os.fsencode(path), mask))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def doRead(self) -> None:
        """There is something to read."""
        self._happened(self._inotify.read(timeout=0))

    def connectionLost(self, reason: Failure) -> None:
        """Never by itself: inotify has no other end."""
        self.close()

    def close(self) -> None:
        """Give the descriptor back; every watch ends."""
        if not self._inotify.closed:
            self.stopReading()
            self._inotify.close()
