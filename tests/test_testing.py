"""The fakes keep the contracts."""

from __future__ import annotations

from stationd.interfaces import IJournal
from stationd.testing import MemoryJournal
from tests.contracts.journal import JournalContract


class MemoryJournalTests(JournalContract):
    """L{MemoryJournal} is a journal."""

    def make(self) -> IJournal:
        return MemoryJournal(lambda: self.elapsed_us)


del JournalContract
