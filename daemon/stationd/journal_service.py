"""The daemon's two journals as a service: opened, vacuumed, closed."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from stationd.config import Settings
from stationd.interfaces import IHostReactor, Retention
from stationd.journal.disk import raise_file_limit
from stationd.journal.journal import Journal, open_journal
from stationd.messages import log_messages
from stationd.messages import system_record_messages as said

VACUUM_INTERVAL = 300.0
"""Seconds between looks at what retention need not keep."""

DAY_US = 24 * 3600 * 1_000_000


class JournalService(Service):
    """The log and the events, as two journals beside one another.

    @param now_us: the system's clock.
    @param elapsed_us: one that cannot be set, from any beginning: the age of records
        is counted by it.
    @param removed: told in a sentence when retention has removed records.
    @ivar log: sentences. C{event}: JSON.
    @raise stationd.errors.JournalError: one of them cannot be opened.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        reactor: IHostReactor,
        now_us: Callable[[], int],
        elapsed_us: Callable[[], int],
    ) -> None:
        raise_file_limit()
        self.set_retention(settings.retain_days, settings.retain_bytes)
        self.removed: Callable[[str], object] = lambda sentence: None

        def opened(name: str) -> Journal:
            directory = os.path.join(settings.directory, name)
            return open_journal(
                directory,
                reactor.callFromThread,
                max_bytes=settings.retain_bytes,
                now_us=now_us,
                elapsed_us=elapsed_us,
            )

        self.log = opened("log")
        self.event = opened("event")
        self._vacuuming = LoopingCall(self._vacuum)
        self._vacuuming.clock = reactor

    def set_retention(self, days: int, size_bytes: int) -> None:
        """Keep this much from the next look on.

        @param days: 0 for ever.
        @param size_bytes: of each journal.
        """
        self._retain_days, self._retain_bytes = days, size_bytes

    def startService(self) -> None:
        super().startService()
        self._vacuuming.start(VACUUM_INTERVAL).addErrback(
            lambda failure: log_messages.RETENTION_STOPPED.emit(self._log, failure)
        )

    def stopService(self) -> Deferred[None]:
        """Everything that was taken is on disk when this fires."""
        super().stopService()
        if self._vacuuming.running:
            self._vacuuming.stop()
        closing = DeferredList([self.log.close(), self.event.close()])
        return closing.addCallback(lambda _: None)

    def _vacuum(self) -> Deferred[list[tuple[bool, None]]]:
        days = self._retain_days
        retention = Retention(
            max_age_us=days * DAY_US if days else None,
            max_bytes=self._retain_bytes,
        )

        def told(records: int, name: str) -> None:
            if records:
                self.removed(said.OLD_RECORDS_REMOVED.render(records=records, name=name))

        def refused(failure: Failure) -> None:
            log_messages.RETENTION_FAILED.emit(self._log, reason=failure.value)

        journals = {"log": self.log, "event": self.event}
        return DeferredList(
            [
                journal.vacuum(retention).addCallback(told, name).addErrback(refused)
                for name, journal in journals.items()
            ]
        )
