"""The records that every contender is given: the same ones for the same seed.

A month of a busy small host: 200 containers, half Docker's and half LXC's, six
categories, a dozen users, sentences of some 50 bytes. Four in ten have a number
or an identifier in them that no other has, as what programs post does; one in 200
has L{WORD}.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

from stationd.records import Level

START_US = 1_700_000_000_000_000

WORD = "Timeout"
"""Stands in 0.5 % of the texts; a search for it in lower case finds them all."""

NOWHERE = "segmentation violation"
"""Stands in none."""

GROUP = 256
"""Records in a group that is appended together."""

HOUR_US = 3600 * 1_000_000

CATEGORIES = ("container", "image", "system", "export", "import", "backup")
USERS = ("all", "system", "admin", "root", *(f"user{number}" for number in range(8)))


class Line(NamedTuple):
    """One record, before anybody has numbered it."""

    time_us: int
    level: Level
    category: str
    user: str
    container: str
    text: str


SEED = 1

STEP_US = 2_600_000
"""From one record to the next, on average: a million are a month."""


def middle_us(count: int) -> int:
    """A time about in the middle of so many lines."""
    return START_US + count // 2 * STEP_US


def containers() -> list[tuple[str, str]]:
    """References and names of 200 containers."""
    rng = random.Random(SEED)
    kinds = ("web", "db", "cache", "queue", "mail", "proxy", "backup", "media")
    found = []
    for number in range(200):
        name = f"{kinds[number % len(kinds)]}-{number:03d}"
        docker = f"docker/{rng.getrandbits(256):064x}"
        found.append((docker if number % 2 else f"lxc/{name}", name))
    return found


def lines(count: int) -> Iterator[Line]:
    """So many lines, in the order of their times, over about a month a million."""
    rng = random.Random(SEED)
    known = containers()
    verbs = ("Start", "Stop", "Restart", "Pause", "Unpause", "Create", "Destroy", "Kill")
    levels = (Level.INFO,) * 16 + (Level.WARN,) * 3 + (Level.ERROR,)
    time_us = START_US
    for number in range(count):
        time_us += int(rng.expovariate(1 / STEP_US))
        reference, name = known[int(rng.random() ** 2 * 200)]
        drawn = rng.random()
        if number % 200 == 77:
            text = f"{WORD} after {rng.randrange(100000)} ms, peer of {name} gave no answer"
        elif drawn < 0.4:
            kind = reference.partition("/")[0]
            text = f"{verbs[int(rng.random() * 8)]} container ({kind}, {name}) was asked for"
        elif drawn < 0.6:
            text = f"Container {name} exited by itself with code {rng.choice((0, 0, 0, 1, 137))}"
        elif drawn < 0.8:
            text = f"{name}: answered {rng.getrandbits(32):08x} in {rng.randrange(2000)} ms"
        else:
            text = f"Health check of {name} passed, {rng.randrange(4096)} MiB free"
        yield Line(
            time_us,
            levels[int(rng.random() * 20)],
            CATEGORIES[int(rng.random() ** 2 * 6)],
            USERS[int(rng.random() ** 2 * 12)],
            reference,
            text,
        )
