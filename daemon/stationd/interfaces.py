"""The interfaces between the parts of the daemon, and the values that they take.

An interface stands here when it has more than one implementation or when authors
of plugins need it. Fakes of each, verified against the same contracts as the real
ones, are in L{stationd.testing}.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFDSet, IReactorThreads, IReactorTime
from zope.interface import Attribute, Interface

from stationd.records import Container, ContainerStats, Draft, Level, Observation, Record


@attrs.frozen(kw_only=True)
class Query:
    """Which records are wanted. A field left out rules nothing out.

    @ivar time_start_us: the earliest time, included.
    @ivar time_end_us: the latest time, included.
    @ivar after: only numbers above this one.
    @ivar before: only numbers below this one.
    @ivar levels: one of these.
    @ivar categories: one of these, exactly.
    @ivar users: one of these, exactly.
    @ivar containers: one of these references, exactly; C{docker/1753ab55c36e} (at
        least 12 characters of the id) also means every id that begins so.
    @ivar text: a part of the text, without regard to case (L{str.casefold}).
    @ivar offset: matches to pass over first.
    @ivar limit: matches to give at most.
    @ivar oldest_first: in ascending order of numbers; else descending.
    """

    time_start_us: int | None = None
    time_end_us: int | None = None
    after: int | None = None
    before: int | None = None
    levels: frozenset[Level] | None = None
    categories: frozenset[str] | None = None
    users: frozenset[str] | None = None
    containers: frozenset[str] | None = None
    text: str | None = None
    offset: int = 0
    limit: int | None = None
    oldest_first: bool = False


@attrs.frozen(kw_only=True)
class AppendResult:
    """Where records went.

    @ivar first: the number of the first of them.
    @ivar last: the number of the last; C{last - first + 1} is how many.
    """

    first: int
    last: int


@attrs.frozen(kw_only=True)
class JournalStatus:
    """What a journal holds.

    @ivar first: the oldest number kept, C{last + 1} if none is.
    @ivar last: the newest number ever given, 0 before the first.
    @ivar records: how many are kept and readable.
    @ivar size_bytes: what its files hold on disk.
    @ivar segments: how many files that is.
    @ivar oldest_us: time of the oldest kept record, C{None} if there is none.
    @ivar newest_us: the greatest time of any kept record.
    @ivar cleared_us: when it was last cleared, 0 if never.
    @ivar damage: one sentence for each damaged place that was fenced off.
    """

    first: int
    last: int
    records: int
    size_bytes: int
    segments: int
    oldest_us: int | None
    newest_us: int | None
    cleared_us: int
    damage: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Retention:
    """How much a journal keeps.

    Age counts from when a record became durable, not from the time it speaks of:
    an import of old records is not thrown away the same day. It is time that has
    been measured while the journal was open, by a clock that cannot be set: a leap of
    the system's clock makes nothing old.

    @ivar max_age_us: older records may go; C{None}: age is no reason.
    @ivar max_bytes: the oldest go until the files hold no more than this.
    """

    max_age_us: int | None
    max_bytes: int


class Waiting(list[Record]):
    """A step of a query that gives nothing, because a disk has to be waited for.

    @ivar ready: fires when the next step can be taken; it never fails. A step that is taken
        sooner is another one of these.
    """

    def __init__(self, ready: Deferred[None]) -> None:
        super().__init__()
        self.ready = ready


class IHostReactor(IReactorTime, IReactorThreads, IReactorFDSet):
    """The parts of a reactor that sources use: timers, calls from their threads,
    file descriptors."""


class IJournal(Interface):
    """Numbered records on disk. One object writes; any number of processes read."""

    def append(drafts: Sequence[Draft]) -> Deferred[AppendResult]:
        """Store records, all or none, with consecutive numbers.

        The Deferred fires after they are on the disk (C{fdatasync} has returned),
        in the order of the calls, and only then does L{select} show them. It says
        nothing about other journals. Cancelling it takes nothing back.

        @raise JournalUnwritable: (Deferred) the disk refused; nothing is stored.
        @raise JournalOverloaded: (Deferred) too much is waiting already.
        @raise JournalClosed: (Deferred) L{close} has been called.
        """

    def select(query: Query) -> Iterator[list[Record]]:
        """Find records among those committed at the time of the call.

        The iterator gives lists, many of them empty: each step does a bounded
        amount of work (some two milliseconds), so that a caller on the reactor's
        thread can let others run in between. Clearing and retention do not
        disturb an iterator that is under way. A damaged part is passed over.
        """

    def select_without_waiting(query: Query) -> Iterator[list[Record]]:
        """The same for the reactor's thread: where a step would have to wait for the disk, it
        gives a L{Waiting}."""

    def clear(now_us: int) -> Deferred[int]:
        """Remove every record committed at the time of the call.

        Fires with how many there were, when none of them can come back, whatever
        happens to the process. Numbers go on where they were.

        @raise JournalUnwritable: (Deferred) the disk refused. Nothing was removed, or
            everything but not for certain, and the error says so: it can come back if the
            power fails. L{status} and L{select} show which.
        """

    def vacuum(retention: Retention) -> Deferred[int]:
        """Remove the oldest records that the retention does not keep, whole files
        at a time, and give their space back. Fires with how many were removed.

        @raise JournalUnwritable: (Deferred) the disk refused.
        """

    def status() -> JournalStatus:
        """What the journal holds, at no cost worth mentioning."""

    def close() -> Deferred[None]:
        """Write what has been appended, then release files, thread and lock.
        Calling it again gives another Deferred for the same end."""


@attrs.frozen(kw_only=True)
class KnownContainers:
    """What is known of the containers of a type.

    @ivar containers: those that exist, as they were last told of.
    @ivar newest_us: the time of the event of this type that was recorded last, 0 if
        none is kept.
    @ivar complete: whether these are all that existed then: nothing that matters has
        been forgotten.
    """

    containers: tuple[Container, ...]
    newest_us: int
    complete: bool


class IRecorder(Interface):
    """What a source tells its news to. Everything is taken in the order of the calls."""

    def observe(observations: Sequence[Observation]) -> Deferred[None]:
        """Record observations. Fires when they are on disk and shown to waits and
        readers; one whose origin is recorded already is passed over.

        @raise JournalError: (Deferred) it could not be stored. The source should
            stop following and begin again from L{origins}.
        """

    def listing(type: str, containers: Sequence[Container]) -> Deferred[None]:
        """Say which containers of a type exist, and what each is, as of now. Those
        known and not named here are gone. Of the first one what nothing is recorded of
        is recorded, as found. Fires when waits have been told.

        @raise JournalError: (Deferred) as L{observe}.
        """

    def origins(type: str) -> KeysView[str]:
        """The origins of this type that are among the newest records of it, and among those
        of containers that exist and have been quiet for longer, in the order of the records: a
        source finds its own position in them. That order is right even if the clock was set
        back; the times are then not."""

    def known(type: str) -> KnownContainers:
        """What is known of the containers of a type, from the same records as L{origins}. What
        has changed while nobody looked is the difference to how they are."""

    def note(level: Level, text: str) -> Deferred[None]:
        """Put a sentence about the source itself into the log."""

    def connected(type: str) -> None:
        """The source of this type has found what it watches, and catches up."""

    def live(type: str) -> None:
        """The source of this type has caught up, and follows what happens."""


class ISource(Interface):
    """Something that sees what happens to containers of one type."""

    type = Attribute("C{'docker'} or C{'lxc'}: the type of every observation it makes.")

    def follow(recorder: IRecorder) -> Deferred[None]:
        """Watch until it is not possible any more, telling the recorder: that it is
        L{IRecorder.connected}, what happened while nobody looked, a listing, then
        L{IRecorder.live}, then what happens. Called again after it failed, never while it runs.

        The Deferred never fires with a result. Cancelling it stops the source; it
        then fires with L{CancelledError} once its threads and files are released.

        @raise SourceAbsent: (Deferred) there is nothing to watch on this host now.
        @raise SourceLost: (Deferred) it ended or failed.
        """

    def find(key: str) -> Deferred[Container | None]:
        """Ask the outside world itself for one container, by id, prefix of 12 or
        more, or name: how it is after the call; C{None} if there is none.

        @raise SourceAbsent: (Deferred) there is nothing to watch on this host now, so
            there is no container.
        @raise SourceError: (Deferred) the world does not answer, or not for this one:
            whether there is one, and how it is, is not known.
        """

    def sample(containers: Sequence[Container]) -> Deferred[dict[str, ContainerStats]]:
        """Measure what running containers use, by their ids. One that has gone in
        the meantime is left out; that is no error."""

    def close() -> Deferred[None]:
        """Release what L{find} and L{sample} keep (threads, sockets), for good."""
