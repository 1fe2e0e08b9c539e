"""Journals of many records, of many segments, and of very many names."""

from __future__ import annotations

from tests.journal import test_journal, test_seal_verification


class JournalTests(test_journal.JournalTests):
    """A thousand records, and all leaps of the clock."""

    many, every = 1000, 1


class SealedJournalTests(test_journal.SealedJournalTests):
    """A thousand segments."""

    many = 1000


class LimitTests(test_seal_verification.LimitTests):
    """More names than the longest chunk has bytes for."""

    records = 23_000
