"""What monitors say of the runs of containers, as a tracker takes it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

import attrs

from stationd.records import JsonValue


@attrs.frozen
class Word:
    """What a monitor said of a run.

    @ivar time_us: when we heard it.
    @ivar began: whether it began; else it ended.
    @ivar details: how it ended.
    @ivar reboots: whether it ended to begin again.
    """

    time_us: int
    began: bool
    details: Mapping[str, JsonValue] = attrs.field(factory=dict)
    reboots: bool = False


class Words(Protocol):
    """What monitors said since they were last asked.

    @ivar listening: whether they can be heard.
    """

    @property
    def listening(self) -> bool: ...

    def take(self, name: str) -> list[Word]:
        """Those about a container, in order; each is given once."""

    def since_scan(self, name: str) -> bool:
        """Whether there were any since the scan began: it may be older than them."""

    def forget(self, names: Collection[str]) -> None:
        """Only these are containers; what was said of others before the scan is of no use."""


class Silence:
    """No monitor says anything."""

    listening = False

    def take(self, name: str) -> list[Word]:
        """See L{Words.take}."""
        return []

    def since_scan(self, name: str) -> bool:
        """See L{Words.since_scan}."""
        return False

    def forget(self, names: Collection[str]) -> None:
        """See L{Words.forget}."""
