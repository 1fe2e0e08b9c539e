"""Many queries, of a journal that is whole and of one that is not."""

from __future__ import annotations

from tests.journal import test_damage, test_query


class QueryTests(test_query.QueryTests):
    """Alone."""

    examples = 600


class BesideTests(test_query.BesideTests):
    """Beside others."""

    seeds = range(30)


class DamageTests(test_damage.DamageTests):
    """Of a journal that is damaged."""

    examples = 150
