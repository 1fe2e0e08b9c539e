"""Which containers there are, for those who ask by any of their names: the registry
first, the world outside where it has nothing to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred

from stationd.errors import ContainerUnknown, SourceAbsent
from stationd.records import Container, Figures
from stationd.registry import Containers
from stationd.supervisor import Sources


class Inventory:
    """Answers questions about containers that exist."""

    def __init__(self, containers: Containers, sources: Sources) -> None:
        self._containers = containers
        self._sources = sources

    def all(self) -> list[Container]:
        """See L{Containers.all}."""
        return self._containers.all()

    def references(self, key: str) -> frozenset[str]:
        """See L{Containers.references}."""
        return self._containers.references(key)

    def locate(self, type: str, key: str) -> Deferred[Container]:
        """The one that exists under an id, prefix or name.

        @raise ContainerUnknown: (Deferred) there is none.
        @raise SourceLost: (Deferred) that is not known: the source does not answer.
        """
        return Deferred.fromCoroutine(self._locate(type, key))

    async def _locate(self, type: str, key: str) -> Container:
        known = self._containers.find(type, key)
        if known is None or known.removed:
            try:
                found = await self._sources.find(type, key)
            except SourceAbsent:
                found = None
            # It may have been recorded in the meantime.
            known = self._containers.find(type, key)
            if known is None or known.removed:
                known = found
        if known is None:
            raise ContainerUnknown(type, key)
        return known

    def is_live(self, type: str) -> bool:
        """See L{Sources.is_live}."""
        return self._sources.is_live(type)

    def sample(self, containers: Sequence[Container]) -> Deferred[Mapping[str, Figures]]:
        """See L{Sources.sample}."""
        return self._sources.sample(containers)
