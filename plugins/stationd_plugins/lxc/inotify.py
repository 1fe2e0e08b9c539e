"""inotify, read by the reactor.

Twisted's own drops C{IN_Q_OVERFLOW} without a word (twisted/twisted#6722), and the
deletion of one watched directory ends its other watches. Here everything that the
kernel says arrives.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from inotify_simple import INotify
from twisted.internet.interfaces import IReactorFDSet
from twisted.python.failure import Failure

from stationd_plugins.lxc.readable import Readable

_NO_MORE = frozenset([errno.ENOSPC, errno.EMFILE, errno.ENOMEM])
"""What ends them all; everything else is about one."""


class Watcher(Readable):
    """Watches, and a callback for what happens to them.

    @param happened: called with each batch of inotify_simple's events
        (C{wd, mask, cookie, name}).
    @param broken: see L{Readable}.
    """

    def __init__(
        self,
        reactor: IReactorFDSet,
        happened: Callable[[Sequence[object]], None],
        broken: Callable[[Failure], None],
    ) -> None:
        self._inotify = INotify(nonblocking=True)
        self._happened = happened
        super().__init__(reactor, self._inotify, broken)

    def watch(self, path: str, mask: int) -> int | None:
        """Watch a file or directory; C{None} if it is not there, or we may not. The same
        one gets the same number again.

        @raise OSError: there are no more watches, or no memory.
        """
        try:
            return int(self._inotify.add_watch(os.fsencode(path), mask))
        except OSError as error:
            if error.errno in _NO_MORE:
                raise
            return None

    def doRead(self) -> None:
        """There is something to read."""
        self._happened(self._inotify.read(timeout=0))
