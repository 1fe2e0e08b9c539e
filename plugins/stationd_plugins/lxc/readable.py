"""Something of the kernel's that the reactor reads for us, without transport or protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorFDSet
from twisted.python.failure import Failure


class _Source(Protocol):
    def fileno(self) -> int:
        """Its descriptor."""

    def close(self) -> None:
        """Give it back."""


class Readable(FileDescriptor):
    """Reads from now on; a subclass has C{doRead}.

    @param source: a socket or the like. It is ours now, and closed with us.
    @param broken: called with the reason if the reactor will not read any more although
        nobody has closed it: C{doRead} has raised, or the descriptor is bad.
    """

    def __init__(
        self, reactor: IReactorFDSet, source: _Source, broken: Callable[[Failure], None]
    ) -> None:
        super().__init__(reactor)
        self._broken = broken
        self._source: _Source | None = source
        self.connected = True
        self.startReading()  # type: ignore[no-untyped-call]

    def fileno(self) -> int:
        """The kernel's descriptor; -1 when closed."""
        return -1 if self._source is None else self._source.fileno()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor will not read any more."""
        if self._source is not None:
            self.close()
            self._broken(reason)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._source is not None:
            self.stopReading()  # type: ignore[no-untyped-call]
            source, self._source = self._source, None
            source.close()
