"""Kills for want of memory in cgroups below those of LXC containers: v1 does not count them above,
and systemd removes the cgroup of a service that ended. Blocking, for the thread that scans."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs

from stationd_plugins.host.oom_log import OomKill
from stationd_plugins.lxc.scan import Seen


class Below:
    """Counts what the kernel's log says of them.

    @param killed: how many the kernel has killed in all. It costs little, so it is asked first.
    @param kills: all that its log knows of, the oldest first.
    """

    def __init__(self, killed: Callable[[], int], kills: Callable[[], Iterable[OomKill]]) -> None:
        self._killed = killed
        self._kills = kills
        self._count: int | None = None
        self._again = False
        # On the kernel's own clock: two cannot be compared so exactly.
        self._newest = 0.0
        self._of: dict[str, int] = {}

    def fill_in(self, found: Mapping[str, Seen], running: Mapping[str, Seen]) -> dict[str, Seen]:
        """The same containers; of each that runs with those that were killed below since the
        first call.

        @param running: those that ran when they were last seen: that some of them do not
            answer, or are in a path that is away, keeps nobody from being killed in them.
        """
        runs = {seen.run: seen.cgroups for seen in [*running.values(), *found.values()] if seen.run}
        count = self._killed()
        if count != self._count or self._again:
            # A kill is counted a moment before the log has it: look at it twice.
            self._again = count != self._count and self._count is not None
            self._take(runs, is_first=self._count is None)
            self._count = count
        self._of = {run: self._of.get(run, 0) for run in runs}
        return {
            name: attrs.evolve(seen, ooms=seen.ooms + self._of[seen.run])
            if self._of.get(seen.run)
            else seen
            for name, seen in found.items()
        }

    def _take(self, runs: Mapping[str, Mapping[str, str]], *, is_first: bool) -> None:
        kills = [kill for kill in self._kills() if kill.at > self._newest]
        self._newest = max([self._newest, *(kill.at for kill in kills)])
        if is_first:
            return
        for run, groups in runs.items():
            # Only of v1 it is under this name.
            memory = groups.get("memory", "")
            below = sum(kill.is_in(memory) and kill.cgroup != memory for kill in kills)
            self._of[run] = self._of.get(run, 0) + below
