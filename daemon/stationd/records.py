"""The values that flow through the daemon: observations, drafts, records, containers.

A source makes L{Observation}s; L{stationd.record_builder} turns each into L{Draft}s; the journal
numbers a draft and it is a L{Record}. L{Container} is what one container is now.
Times are microseconds since the epoch, UTC, everywhere inside; sources and
producers give the time a thing happened, so times need not ascend.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

import attrs

from stationd.errors import InvalidValue
from stationd.messages import allowed_values

JsonValue = object
"""What L{json.loads} can return; JSON has no better type in Python."""

MAX_TIME_US = 253_402_300_799_999_999
"""The last microsecond of the year 9999: the last time a CSV can show."""

MAX_NAME_LENGTH = 256
"""Characters in a category, a user or a container: a Docker id has 64, and a
cluster's scheduler makes names of some 150."""

MAX_TEXT_BYTES = 65_536
"""Bytes in a text: what journald also takes to be a long line, a hundred times
what the longest sentence or event of ours needs."""


CRASH_LOOP_EXITS = 4
"""So many exits in a row, each soon after the last, are a crash loop."""


class Level(enum.IntEnum):
    """How much a record matters. The numbers are those of the file format."""

    DEBUG = 0
    INFO = 1
    WARN = 2
    ERROR = 3


class State(enum.Enum):
    """What a container is doing. C{created}, C{exited}, C{dead} and
    C{restarting} of Docker are all C{stopped} here: no process of it runs."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"


def _check_time(instance: object, attribute: attrs.Attribute[int], value: int) -> None:
    if not 0 <= value <= MAX_TIME_US:
        raise InvalidValue("time", value, allowed_values.RECORD_TIME)


def _encoded_length(name: str, value: str) -> int:
    """The length in bytes of C{value} in UTF-8, or L{InvalidValue} for half a
    surrogate pair, which JSON can carry and UTF-8 cannot."""
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise InvalidValue(name, value, allowed_values.RECORD_UTF8) from None


def _check_token(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    """A category or user stands between colons in an event's message and between
    commas in a filter, so it can contain neither."""
    if not 1 <= len(value) <= MAX_NAME_LENGTH or not value.isprintable() or {":", ","} & set(value):
        allowed = allowed_values.RECORD_WORD.format(greatest=MAX_NAME_LENGTH)
        raise InvalidValue(attribute.name, value, allowed)
    _encoded_length(attribute.name, value)


def _check_reference(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if len(value) > MAX_NAME_LENGTH or (value and not value.isprintable()):
        allowed = allowed_values.RECORD_REFERENCE.format(greatest=MAX_NAME_LENGTH)
        raise InvalidValue(attribute.name, value, allowed)
    _encoded_length(attribute.name, value)


def _check_text(instance: object, attribute: attrs.Attribute[str], value: str) -> None:
    if len(value) > MAX_TEXT_BYTES or _encoded_length(attribute.name, value) > MAX_TEXT_BYTES:
        allowed = allowed_values.RECORD_TEXT.format(greatest=MAX_TEXT_BYTES)
        raise InvalidValue(attribute.name, value[:60], allowed)


@attrs.frozen(kw_only=True)
class Draft:
    """A record that has no number yet. What is not allowed in the journal cannot
    be made: the constructor raises L{InvalidValue}.

    @ivar time_us: when it happened.
    @ivar level: how much it matters; events are all L{Level.INFO}.
    @ivar category: C{container}, C{image}, C{export}, C{import}, C{backup},
        C{system}, or one a producer brought.
    @ivar user: who did it; C{all} for what was seen to happen, C{system} for the
        daemon's own words.
    @ivar container: C{docker/ID}, C{lxc/NAME}, or C{""} if it is about none.
    @ivar text: a sentence (log) or JSON (event).
    @ivar origin: the identity of the happening at its source, C{TYPE:…}, the same
        each time that source tells of it; C{""} if it has none. The recorder stores
        no origin twice, which is what makes a replay harmless.
    """

    time_us: int = attrs.field(validator=_check_time)
    level: Level = Level.INFO
    category: str = attrs.field(validator=_check_token)
    user: str = attrs.field(validator=_check_token)
    container: str = attrs.field(default="", validator=_check_reference)
    text: str = attrs.field(validator=_check_text)
    origin: str = attrs.field(default="", validator=_check_reference)


class Record(NamedTuple):
    """A record as it is in the journal: a draft's fields, and its number. A tuple,
    because a query makes them by the thousand.

    @ivar number: 1, 2, 3, … in the order of acknowledgement, never used twice.
    """

    number: int
    time_us: int
    level: Level
    category: str
    user: str
    container: str
    text: str
    origin: str


@attrs.frozen(kw_only=True)
class Observation:
    """Something that a source saw happen to a container or an image.

    @ivar time_us: when it happened, by the clock of who did it.
    @ivar type: C{"docker"} or C{"lxc"}.
    @ivar subject: C{"container"}, C{"image"} or C{"export"} (of a container).
    @ivar action: what happened. Containers: C{create}, C{start}, C{stop}, C{restart},
        C{destroy}, C{pause}, C{unpause}, C{die}, C{oom}, C{healthy}, C{unhealthy},
        C{kill}, C{rename}, C{recovered}, C{port-add}, C{port-remove}, C{found}, C{exec_*}. Images:
        C{pull}, C{delete}, C{import}, C{load}, C{save}, C{tag}, C{untag}, C{prune}.
        Exports: C{export}.
    @ivar id: a container's full id (for LXC its name); an image's reference as the
        source gives it.
    @ivar name: a container's name, or an image's reference.
    @ivar image: the image of a container, C{""} if not known.
    @ivar details: what else is known: C{exitCode} (int), C{signal} (str), of
        an exit C{asked}, C{engineStops} (by an engine that is stopped), C{engineStarts} (by one
        that comes back) and C{oom} (bool), C{limit} (int, bytes of memory) or C{hostMemory}
        (bool, it was the host's),
        C{exits} (int, in a row, of a container that does not stay up), C{old} (str, a former
        name), C{ports} (list of C{"0.0.0.0:8080->80/tcp"}), C{restarts} (int), C{now}
        (str, the state in which something was found).
    @ivar inferred: not seen as it happened but worked out later.
    @ivar origin: see L{Draft.origin}.
    """

    time_us: int
    type: str
    subject: str
    action: str
    id: str
    name: str
    image: str = ""
    details: Mapping[str, JsonValue] = attrs.field(factory=dict)
    inferred: bool = False
    origin: str = ""


@attrs.frozen(kw_only=True)
class Container:
    """What is known of one container.

    @ivar type: C{"docker"} or C{"lxc"}.
    @ivar id: Docker's 64 hexadecimal digits; for LXC the name.
    @ivar name: without Docker's leading slash.
    @ivar image: what it was made from, C{""} if not known.
    @ivar state: what it is doing.
    @ivar exit_code: the code of its last exit (128 + N if signal N ended it), if
        it has exited and somebody told.
    @ivar finished_us: when it last exited, if known.
    @ivar health: C{"healthy"}, C{"unhealthy"}, C{"starting"}, or C{""} without a
        health check.
    @ivar ports: what of it the host forwards, as C{"0.0.0.0:8080->80/tcp"}, in order.
    @ivar origin: that of the happening by which it runs as it does (L{Draft.origin}),
        if its source knows it without having seen it.
    @ivar removed: it does not exist any more; the rest is how it was at the end.
    """

    type: str
    id: str
    name: str
    image: str = ""
    state: State = State.STOPPED
    exit_code: int | None = None
    finished_us: int | None = None
    health: str = ""
    ports: tuple[str, ...] = ()
    origin: str = attrs.field(default="", eq=False)
    removed: bool = False

    @property
    def reference(self) -> str:
        """The name of this container in records: C{docker/ID} or C{lxc/NAME}."""
        return f"{self.type}/{self.id}"


@attrs.frozen(kw_only=True)
class ContainerStats:
    """What a running container uses.

    @ivar cpu: share of the whole host's CPU over the sampling interval, 0.0 to 1.0.
    @ivar memory_bytes: memory in use without the page cache that can be dropped.
    @ivar rx_rate: bytes received per second over the interval, all links but C{lo}.
    @ivar tx_rate: bytes sent per second over the interval.
    @ivar addresses: its global addresses, IPv4 first, without prefix lengths.
    """

    cpu: float
    memory_bytes: int
    rx_rate: int
    tx_rate: int
    addresses: tuple[str, ...]
