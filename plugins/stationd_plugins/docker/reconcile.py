"""What must have happened while nobody looked, or what the engine has forgotten: the
difference between what is recorded and what its containers are. Pure.

The engine tells when each container was made, last started and last exited. Its event
of the same is a little later, never earlier, and the next of the kind is later still;
so it is recorded if an event of that kind and container is, at that time or after it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import attrs

from stationd.records import Container, Observation, State
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.origins import SHORT, TYPE, origin_of
from stationd_plugins.docker.past import INVERSION_NS, Past, pasts

FUTURE_NS = 60_000_000_000
"""What is dated so much later than now is of the time before the clock was set back."""


@attrs.frozen
class Listing:
    """The engine's containers at one moment.

    @ivar ids: of all that exist. C{containers}: what is known of those that answered.
    """

    ids: frozenset[str]
    containers: Sequence[Inspected]


def reconcile(
    listing: Listing,
    known: Sequence[Container],
    origins: Collection[str],
    since_ns: int,
    now_ns: int,
    told_since: Collection[str] = (),
    complete: bool = False,
) -> list[Observation]:
    """What to record, in the order in which it must have happened.

    @param known: the containers that exist by what is recorded.
    @param origins: what is recorded, and what is about to be, in this order.
    @param since_ns: what happened before has been recorded, or was before our time.
    @param now_ns: the time for what the engine has no time of.
    @param told_since: the ids of the containers of which the engine has told since the
        listing: they may not be any more what they are there.
    @param complete: whether C{known} are all that existed: of another nothing is recorded,
        whenever it was made.
    """
    recorded = pasts(origins)
    names = {container.id: container for container in known}
    happened: list[tuple[int, Observation]] = []
    for one in listing.containers:
        past = recorded.get(one.container.id[:SHORT], Past())
        known_as = names.get(one.container.id)
        begin_ns = 0 if complete and known_as is None else since_ns
        found = list(_of(one, known_as, past, begin_ns, now_ns))
        if one.container.id in told_since:
            found = [pair for pair in found if pair[0] != now_ns]
        happened += found
    for container in known:
        past = recorded.get(container.id[:SHORT], Past())
        if container.id in listing.ids or "destroy" in past.at:
            continue
        if container.state is not State.STOPPED:
            happened.append((now_ns, _inferred(container, "die", now_ns)))
        # Later, by the times too.
        happened.append((now_ns + 1, _inferred(container, "destroy", now_ns + 1)))
    happened.sort(key=lambda pair: pair[0])
    return [observation for _, observation in happened]


def _of(
    one: Inspected, known: Container | None, past: Past, since_ns: int, now_ns: int
) -> Iterator[tuple[int, Observation]]:
    """What of one container is not recorded."""
    container = one.container
    latest_ns = now_ns + FUTURE_NS

    def at(action: str) -> int:
        time_ns = past.at.get(action, 0)
        return time_ns if time_ns <= latest_ns else 0

    def missed(action: str, time_ns: int | None) -> int:
        """When it happened, 0 if it is recorded, too long ago, or dated in the future."""
        if not time_ns or not since_ns <= time_ns <= latest_ns:
            return 0
        return time_ns if at(action) < time_ns else 0

    def tell(action: str, time_ns: int, **details: object) -> tuple[int, Observation]:
        return time_ns, _inferred(container, action, time_ns, **details)

    runs = container.state is not State.STOPPED
    running, paused = past.runs, past.runs and past.paused
    if not {"start", "die"} & past.at.keys():
        # It was found, and nothing has been told of it since.
        running = known is not None and known.state is not State.STOPPED
        paused = known is not None and known.state is State.PAUSED
    if created := missed("create", one.created_ns):
        yield tell("create", created)
    if known is not None and known.name != container.name:
        yield tell("rename", now_ns, old=known.name)
    started, finished = missed("start", one.started_ns), missed("die", one.finished_ns)
    is_late = at("die") < started < at("die") + INVERSION_NS and not past.ran
    if not runs and not finished and is_late:
        # Its end was told, its start was not, and has the later time of the two: what
        # is worked out is put just before the end. If the run that ended did begin, it is
        # another: an engine that comes back starts again what it finds dead, at once.
        if at("start") < at("die") - 1:
            yield tell("start", at("die") - 1)
        started = 0
    if finished:
        # Of one that lives for milliseconds the engine's time of the start, and the
        # event, are later than that of the end.
        finished = max(finished, at("start") + 1, 0 if runs else started + 1)
    if runs and finished:
        # It has exited and runs again. When the run that ended began, nobody knows.
        if not running:
            yield tell("start", finished - 1)
        yield tell("die", finished)
        running = paused = False
    if started:
        if running:
            yield tell("die", started - 1)
        yield tell("start", started, **({"restarts": one.restarts} if one.restarts else {}))
        running, paused = True, False
    if not runs and running and (finished or known is not None):
        # When, nobody can tell if the clock was set.
        ended = finished or now_ns
        if one.oom_killed and at("oom") < max(at("start"), started):
            yield tell("oom", ended)
        code = container.exit_code
        yield tell("die", ended, **({} if code is None else {"exitCode": code}))
    elif runs and not running and known is not None:
        yield tell("start", now_ns)
    elif running and (container.state is State.PAUSED) != paused:
        yield tell("unpause" if paused else "pause", now_ns)


def _inferred(container: Container, action: str, time_ns: int, **details: object) -> Observation:
    return Observation(
        time_us=time_ns // 1000,
        type=TYPE,
        subject="container",
        action=action,
        id=container.id,
        name=container.name,
        image=container.image,
        details=details,
        inferred=True,
        origin=origin_of(time_ns, "container", action, container.id),
    )
