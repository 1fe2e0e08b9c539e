"""What must have happened while nobody looked, or what the engine has forgotten: the
difference between what is recorded and what its containers are. Pure.

The engine tells when each container was made, last started and last exited. Its event
of the same is later, never earlier, and the next of the kind is later still; so it is
recorded if an event of that kind and container is, at that time or after it. Of what the engine has
told since, and will be recorded, it is the first one, if nothing to the contrary comes before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import attrs

from stationd.records import Container, Observation, State
from stationd_plugins.docker.decode import Inspected
from stationd_plugins.docker.origins import SHORT, TYPE, container_event, origin_of
from stationd_plugins.docker.past import BACK, INVERSION_NS, Past, pasts

_RUNS = frozenset(["create", "start", "die", "destroy"])

_CHANGES = {
    "start": _RUNS,
    "oom": _RUNS,
    "die": _RUNS,
    "pause": _RUNS | {"pause", "unpause"},
    "unpause": _RUNS | {"pause", "unpause"},
    "rename": frozenset(["rename"]),
}
"""After what a listing does not tell any more that something happened, of what the engine has
no time."""

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
    news: Sequence[Observation] = (),
    complete: bool = False,
) -> list[Observation]:
    """What to record, in the order in which it must have happened.

    @param known: the containers that exist by what is recorded.
    @param origins: what is recorded.
    @param since_ns: what happened before has been recorded, or was before our time.
    @param now_ns: the time for what the engine has no time of.
    @param news: what the engine has told since, and will be recorded after it: the containers
        may not be any more what they were when they were listed.
    @param complete: whether C{known} are all that existed: of another nothing is recorded,
        whenever it was made.
    """
    recorded = pasts(origins, known)
    told: dict[str, list[tuple[int, str]]] = {}
    for time_ns, action, short in filter(None, (container_event(one.origin) for one in news)):
        told.setdefault(short, []).append((time_ns, action))
    names = {container.id: container for container in known}
    happened: list[tuple[int, Observation]] = []
    for one in listing.containers:
        past = recorded.get(one.container.id[:SHORT], Past())
        known_as = names.get(one.container.id)
        begin_ns = 0 if complete and known_as is None else since_ns
        since = told.get(one.container.id[:SHORT], [])
        if "destroy" in past.at:
            found_ns = min([now_ns, *(time_ns - 1 for time_ns, _ in since)])
            happened.append((found_ns, _found_again(one.container, found_ns, since)))
            continue
        found = list(_of(one, known_as, past, begin_ns, now_ns, since))
        changed = {action for _, action in since}
        happened += [
            (time_ns, seen)
            for time_ns, seen in found
            if time_ns != now_ns or changed.isdisjoint(_CHANGES.get(seen.action, ()))
        ]
    for container in known:
        short = container.id[:SHORT]
        its = {*recorded.get(short, Past()).at, *(action for _, action in told.get(short, []))}
        if container.id in listing.ids or "destroy" in its:
            continue
        if container.state is not State.STOPPED:
            happened.append((now_ns, _inferred(container, "die", now_ns)))
        # Later, by the times too.
        happened.append((now_ns + 1, _inferred(container, "destroy", now_ns + 1)))
    happened.sort(key=lambda pair: pair[0])
    return [observation for _, observation in happened]


def _found_again(
    container: Container, time_ns: int, since: Sequence[tuple[int, str]]
) -> Observation:
    """One that is recorded as removed, and is there: its engine came up without it, on another
    disk, and has it back now.

    @param since: as of L{_of}: it is found as it was before.
    """
    changes = [BACK[action] for _, action in since if action in BACK]
    now = changes[0] if changes else container.state
    found = _inferred(container, "found", time_ns, now=now.value)
    return attrs.evolve(found, inferred=False)


def _of(
    one: Inspected,
    known: Container | None,
    past: Past,
    since_ns: int,
    now_ns: int,
    since: Sequence[tuple[int, str]],
) -> Iterator[tuple[int, Observation]]:
    """What of one container is not recorded.

    @param since: what will be recorded after it: when what happened.
    """
    container = one.container
    runs = container.state is not State.STOPPED
    latest_ns = now_ns + FUTURE_NS

    def at(action: str) -> int:
        return past.last_ns(action, latest_ns)

    def tell(action: str, time_ns: int, **details: object) -> tuple[int, Observation]:
        return time_ns, _inferred(container, action, time_ns, **details)

    running, paused = past.runs, past.runs and past.paused
    created, started, finished = _times(one, past, since_ns, now_ns, since)
    if created and known is None:
        yield tell("create", created)
    if known is not None and known.name != container.name:
        yield tell("rename", now_ns, old=known.name)
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


def _times(
    one: Inspected, past: Past, since_ns: int, now_ns: int, since: Sequence[tuple[int, str]]
) -> tuple[int, int, int]:
    """When one was made, last started and last exited; each 0 if it is recorded or will be, too
    long ago, dated in the future, or too late to tell of."""
    runs = one.container.state is not State.STOPPED
    latest_ns = now_ns + FUTURE_NS
    # Of what is recorded of a container nothing after it is before our time.
    marks = [past.last_ns(action, latest_ns) for action in ("create", "start", "die")]
    # Nor is what was before it was found again.
    since_ns = max(min([since_ns, *filter(None, marks)]), past.last_ns("found", latest_ns))
    # A start this long after the exit is that of another run.
    exited_ns = (one.finished_ns or 0) + INVERSION_NS

    def will_be(action: str, time_ns: int) -> bool:
        """Whether the engine has told of it since: what comes first after it, if nothing
        to the contrary comes before."""
        first_ns = min((at for at, what in since if what == action and at >= time_ns), default=0)
        if action == "start":
            others = [at for at, what in since if what == "die" and time_ns < at < first_ns]
            return bool(first_ns) and not others and (runs or first_ns <= exited_ns)
        others = [at for at, what in since if what == "start" and exited_ns < at <= first_ns]
        return bool(first_ns) and (action == "create" or not others)

    def missed(action: str, time_ns: int | None) -> int:
        if not time_ns or not since_ns <= time_ns <= latest_ns:
            return 0
        if past.last_ns(action, latest_ns) >= time_ns or will_be(action, time_ns):
            return 0
        # It was made before, whatever was worked out of that.
        return max(time_ns, past.last_ns("create", latest_ns) + 1)

    started, finished = missed("start", one.started_ns), missed("die", one.finished_ns)
    if not runs and started < past.last_ns("die", latest_ns):
        # The end of that run was told, and not that the one before it was over.
        started = 0
    if runs and one.started_ns and past.last_ns("start", latest_ns) >= one.started_ns:
        # It is of the run before the one that is recorded.
        finished = 0
    # It is made once, and before all else, whatever the clock says.
    created = 0 if "create" in past.at else missed("create", one.created_ns)
    if not since_ns and "create" not in {*past.at, *(action for _, action in since)}:
        created = created or now_ns
    if created:
        created = min([created, *(time_ns - 1 for time_ns in (started, finished) if time_ns)])
    return created, started, finished


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
