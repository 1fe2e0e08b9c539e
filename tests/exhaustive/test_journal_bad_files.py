"""Each sector of a journal's files goes bad."""

from __future__ import annotations

from tests.journal import test_bad_files


class BadSectorTests(test_bad_files.BadSectorTests):
    """All sectors."""

    every = 1
