"""C{/api/v1/container} and C{/api/v1/event/wait}: what containers are, and become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stationd.errors import InvalidValue
from stationd.messages.allowed_values import ONE_OF
from stationd.records import Container, ContainerStats, State
from stationd.web.query_parameters import Parameters
from stationd.web.request_context import Answer, Call
from stationd.web.routes_log import date, json_answer

TYPES = ("lxc", "docker")
TARGETS = ("running", "stopped", "paused", "healthy", "removed")

DEFAULT_DURATION = 60
MAX_DURATION = 3600


async def get_containers(call: Call) -> Answer:
    """C{GET /api/v1/container}: all that exist."""
    return json_answer(await _measured(call, call.api.containers.all()))


async def get_container(call: Call) -> Answer:
    """C{GET /api/v1/container/TYPE/ID}: one."""
    type, key = call.parts
    _check("type", type, TYPES)
    container = await call.api.containers.find(type, key)
    return json_answer((await _measured(call, [container]))[0])


async def wait(call: Call) -> Answer:
    """C{GET /api/v1/event/wait/TYPE/ID/STATE}: one, when it has become so."""
    type, key, target = call.parts
    _check("type", type, TYPES)
    _check("state", target, TARGETS)
    duration = Parameters(call.parameters).seconds("duration", DEFAULT_DURATION, MAX_DURATION)
    began = call.api.clock.seconds()
    waited = await call.api.waits.wait(type, key, target, duration)
    seconds = round(call.api.clock.seconds() - began, 3)
    named = (await _measured(call, [waited.container]))[0] | {"waited": seconds}
    if not waited.is_certain:
        named["stale"] = True
    return json_answer(dict(sorted(named.items())))


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidValue(name, value, ONE_OF.format(choices=", ".join(allowed)))


async def _measured(call: Call, containers: Sequence[Container]) -> list[dict[str, object]]:
    running = [c for c in containers if c.state is not State.STOPPED]
    figures: Mapping[str, ContainerStats] = {}
    if running:
        figures = await call.api.containers.sample(running)
    inventory = call.api.containers
    return [
        shown(one, figures.get(one.reference), is_live=inventory.is_live(one.type))
        for one in containers
    ]


def shown(
    container: Container, figures: ContainerStats | None, *, is_live: bool
) -> dict[str, object]:
    """A container as the seed shows it. One that runs but could not be measured,
    because it has just gone, has zeros.

    @param is_live: whether its source is followed: else it is shown as it was last.
    """
    named: dict[str, object] = {
        "id": container.id,
        "image": container.image,
        "name": container.name,
        "state": container.state.value,
        "type": container.type,
    }
    if container.health:
        named["health"] = container.health
    if container.state is not State.STOPPED:
        named |= {
            "cpu": round(figures.cpu, 6) if figures else 0.0,
            "ipaddress": list(figures.addresses) if figures else [],
            "memory": figures.memory_bytes if figures else 0,
            "rx": figures.rx_rate if figures else 0,
            "tx": figures.tx_rate if figures else 0,
        }
    if container.exit_code is not None:
        named["exitCode"] = container.exit_code
    if container.finished_us is not None:
        named["finishedAt"] = date(container.finished_us)
    if container.ports:
        named["ports"] = list(container.ports)
    if container.removed:
        named["removed"] = True
    elif not is_live:
        named["stale"] = True
    return dict(sorted(named.items()))
