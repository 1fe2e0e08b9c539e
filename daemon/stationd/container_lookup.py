"""Look-up of containers by id, prefix or name: the registry first, then their source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred

from stationd.errors import ContainerNotFound, SourceAbsent
from stationd.records import Container, ContainerStats
from stationd.registry import Registry
from stationd.supervisor import Sources


class ContainerLookup:
    """Answers questions about containers that exist."""

    def __init__(self, containers: Registry, sources: Sources) -> None:
        self._containers = containers
        self._sources = sources

    def all(self) -> list[Container]:
        """See L{Registry.all}."""
        return self._containers.all()

    def references(self, key: str) -> frozenset[str]:
        """See L{Registry.references}."""
        return self._containers.references(key)

    def find(self, type: str, key: str) -> Deferred[Container]:
        """The one that exists under an id, prefix or name.

        @raise ContainerNotFound: (Deferred) there is none.
        @raise SourceLost: (Deferred) that is not known: the source does not answer.
        """
        return Deferred.fromCoroutine(self._find(type, key))

    async def _find(self, type: str, key: str) -> Container:
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
            raise ContainerNotFound(type, key)
        return known

    def is_live(self, type: str) -> bool:
        """See L{Sources.is_live}."""
        return self._sources.is_live(type)

    def sample(self, containers: Sequence[Container]) -> Deferred[Mapping[str, ContainerStats]]:
        """See L{Sources.sample}."""
        return self._sources.sample(containers)
