"""What happens on a busy small host, as stationd's sources and clients tell of it: the same
for the same seed.

200 living containers, three quarters of them Docker's, some replaced now and then, and many
that live for a minute; half of the log's records are the sentences of observations, with
origins, the other half is posted. One in 200 has L{WORD}.
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import attrs

from benchmarks.timing import Result, batched, contender
from stationd.record_builder import build_records
from stationd.records import Draft, JsonValue, Level, Observation
from stationd_plugins.docker.origins import origin_of
from stationd_plugins.lxc import telling
from stationd_plugins.lxc.scan import Seen

SEED, LIVING = 1, 200

START_US = 1_700_000_000_000_000

STEP_US = 2_600_000
"""From one record of the log to the next, on average: a million are a month."""

GROUP = 256
"""Happenings that are recorded together."""

REPLACED_FROM = 100
"""Which of the living are replaced now and then: those from this one on."""

POSTED = 0.8
"""Share of the steps between which nothing new begins: half of the log is posted."""

WORD = "Timeout"
"""Stands in 0.5 % of the log's texts; a search for it in lower case finds them all."""

NOWHERE = "segmentation violation"
"""Stands in none."""

CATEGORIES = ("app", "system", "cron", "backup", "import", "export")
USERS = ("admin", "root", *(f"user{number}" for number in range(10)))
"""Those of posted records, the most frequent first."""

LEVELS = (Level.INFO,) * 16 + (Level.WARN,) * 3 + (Level.ERROR,)

IMAGES = (
    *("nginx:1.27", "postgres:16-alpine", "redis:7", "docker.io/library/rabbitmq:3-management"),
    *("ghcr.io/acme/api:2.14.3", "ghcr.io/acme/worker:2.14.3", "registry.lan:5000/batch:latest"),
)

SHORT_LIVED = ("eager_hopper", "quirky_lamarr", "vigilant_noether", "brave_wing", "cron-backup")

T = TypeVar("T")


class Subject(NamedTuple):
    """A container or an image."""

    type: str
    id: str
    name: str
    image: str = ""
    kind: str = "container"


Happening = Observation | Mapping[str, Any]
"""What a source has seen, or the fields of what a client posts."""

Steps = list[tuple[float, str, dict[str, JsonValue]]]
"""Seconds after the one before, the action, its details."""


def groups(count: int) -> Iterator[list[Happening]]:
    """What makes so many records of the log, as it is recorded together."""
    return batched(happenings(count), GROUP)


def records(group: Iterable[Happening]) -> Iterator[tuple[str, Draft]]:
    """The records of some happenings, each with the name of its journal."""
    for happening in group:
        if isinstance(happening, Observation):
            built = build_records(happening)
            yield from (("event", draft) for draft in built.events)
            yield from (("log", draft) for draft in built.log)
        else:
            yield "log", Draft(**happening)


def middle_us(count: int) -> int:
    """A time about in the middle of so many happenings."""
    return START_US + count // 2 * STEP_US


def watched() -> str:
    """The reference of a container that lives all the time."""
    rng = random.Random(SEED)
    one = [_made(rng, number) for number in range(LIVING)][50]
    return f"{one.type}/{one.id}"


def happenings(count: int) -> Iterator[Happening]:
    """So many, each worth one record of the log, about in the order of their times."""
    rng = random.Random(SEED)
    living = [_made(rng, number) for number in range(LIVING)]
    due: list[tuple[int, int, Observation]] = []
    begun = 0
    for number in range(count):
        now_us = START_US + number * STEP_US + rng.randrange(STEP_US)
        posted = number % 200 == 77
        if not posted and not (due and due[0][0] <= now_us):
            posted = rng.random() < POSTED
            for observation in () if posted else _story(rng, living, now_us):
                begun += 1
                heapq.heappush(due, (observation.time_us, begun, observation))
        yield (
            _posted(rng, _skewed(rng, living), now_us, number) if posted else heapq.heappop(due)[2]
        )


def _made(rng: random.Random, number: int, name: str = "") -> Subject:
    """A container of a place among the living, or a short-lived one of a name."""
    kinds = ("web", "db", "cache", "queue", "mail", "proxy", "worker", "media")
    name = name or f"{kinds[number % len(kinds)]}-{number:03d}"
    if number % 4 == 3:
        return Subject("lxc", name, name)
    image = IMAGES[number % len(IMAGES)]
    return Subject("docker", f"{rng.getrandbits(256):064x}", name, image)


def _skewed(rng: random.Random, values: Sequence[T]) -> T:
    """One of some values, the first ones most often."""
    return values[int(rng.random() ** 2 * len(values))]


def _story(rng: random.Random, living: list[Subject], now_us: int) -> Iterator[Observation]:
    """What happens to one container or image, beginning now."""
    drawn = rng.random()
    one = _skewed(rng, living)
    steps: Steps
    if drawn < 0.4:
        name = f"{rng.choice(SHORT_LIVED)}-{rng.randrange(100)}"
        one = _made(rng, 4 * rng.randrange(len(IMAGES)), name)
        exit: dict[str, JsonValue] = {"exitCode": rng.choice((0, 0, 0, 1, 127)), "asked": False}
        lived = rng.expovariate(1 / 60)
        steps = [(0, "create", {}), (0.3, "start", {}), (lived, "die", exit), (0.1, "destroy", {})]
    elif drawn < 0.6:
        steps = [*_stopping(rng, one), (0.4, "start", {}), (0.01, "restart", {})]
    elif drawn < 0.7:
        place = rng.randrange(REPLACED_FROM, LIVING)
        one, living[place] = living[place], _made(rng, place)
        yield from _told(rng, one, now_us, [*_stopping(rng, one), (0.2, "destroy", {})])
        one, steps = living[place], [(12, "create", {}), (0.3, "start", {})]
    elif drawn < 0.8 and one.type == "docker":
        steps = [(0, "unhealthy", {}), (rng.expovariate(1 / 90), "healthy", {})]
    elif drawn < 0.85 and one.type == "docker":
        exit = {"exitCode": 137, "asked": False, "oom": True, "limit": 256 << 20}
        steps = [(0, "oom", {}), (0.1, "die", exit), (1, "start", {})]
    elif drawn < 0.93:
        steps = [(0, "pause", {}), (rng.expovariate(1 / 20), "unpause", {})]
    else:
        image, id = rng.choice(IMAGES), f"sha256:{rng.getrandbits(256):064x}"
        one = Subject("docker", rng.choice((image, id)), image, kind="image")
        steps = [(0, action, {}) for action in (("pull", "tag"), ("untag", "delete"))[one.id == id]]
    yield from _told(rng, one, now_us, steps)


def _stopping(rng: random.Random, one: Subject) -> Steps:
    if one.type == "lxc":
        return [(0, "stop", {})]
    exit: dict[str, JsonValue] = {"exitCode": rng.choice((0, 0, 137, 143)), "asked": True}
    return [(0, "kill", {"signal": "SIGTERM"}), (rng.random() * 10, "die", exit), (0, "stop", {})]


def _told(rng: random.Random, one: Subject, now_us: int, steps: Steps) -> Iterator[Observation]:
    """What a source makes of it, each step a little late."""
    for seconds, action, details in steps:
        now_us += int(seconds * 1e6) + rng.randrange(1, 20_000)
        if one.type == "lxc":
            run = f"5a17d0d0-{rng.randrange(1 << 22)}-{now_us // 10_000 % (1 << 32)}"
            seen = Seen(one.name, "/var/lib/lxc", f"fd00-{rng.randrange(1 << 22)}", "", run=run)
            yield telling.observation(action, seen, now_us, False, **details)
            continue
        yield Observation(
            time_us=now_us,
            type=one.type,
            subject=one.kind,
            action=action,
            id=one.id,
            name=one.name,
            image=one.image,
            details=details,
            origin=origin_of(now_us * 1000 + rng.randrange(1000), one.kind, action, one.id),
        )


def _posted(rng: random.Random, one: Subject, now_us: int, number: int) -> Happening:
    drawn = rng.randrange(5)
    text = (
        f"{one.name}: answered {rng.getrandbits(32):08x} in {rng.randrange(2000)} ms",
        f"Health check of {one.name} passed, {rng.randrange(4096)} MiB free",
        f"Backup of /srv/{one.name} finished: {rng.randrange(1 << 30)} bytes",
        f"User {rng.choice(USERS)} logged in from 192.168.{rng.randrange(4)}.{number % 250}",
        "Configuration reloaded, nothing has changed",
    )[drawn]
    if number % 200 == 77:
        text = f"{WORD} after {rng.randrange(100_000)} ms, peer of {one.name} gave no answer"
    return {
        "time_us": now_us,
        "level": rng.choice(LEVELS),
        "category": _skewed(rng, CATEGORIES),
        "user": _skewed(rng, USERS),
        "container": f"{one.type}/{one.id}" if drawn < 2 else "",
        "text": text,
    }


def compressed(count: int, directory: str) -> Result:
    """What C{zstd -9 --long} makes of the same as JSON lines, in bytes a record."""
    import zstandard

    parameters = zstandard.ZstdCompressionParameters.from_level(9, enable_ldm=True, window_log=27)
    made = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    found = size = 0
    for group in groups(count):
        for journal, draft in records(group):
            found += 1
            line = json.dumps({"journal": journal, **attrs.asdict(draft)}).encode()
            size += len(made.compress(line + b"\n"))
    return {"zstd bytes": (size + len(made.flush())) / found}


if __name__ == "__main__":
    contender(compressed)
