"""The routes of C{/api/v1/container} and C{/api/v1/event/wait}."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stationd.errors import InvalidValue
from stationd.messages.allowed_values import ONE_OF
from stationd.records import Container, ContainerStats, State
from stationd.web.query_parameters import QueryParameters
from stationd.web.request_context import RequestContext, Response
from stationd.web.routes_log import format_time, json_response

TYPES = ("lxc", "docker")
TARGETS = ("running", "stopped", "paused", "healthy", "removed")

DEFAULT_DURATION = 60
MAX_DURATION = 3600


async def get_containers(context: RequestContext) -> Response:
    """C{GET /api/v1/container}: all that exist."""
    return json_response(await _measure(context, context.services.containers.all()))


async def get_container(context: RequestContext) -> Response:
    """C{GET /api/v1/container/TYPE/ID}: one."""
    type, key = context.parts
    _check_value("type", type, TYPES)
    container = await context.services.containers.find(type, key)
    return json_response((await _measure(context, [container]))[0])


async def wait(context: RequestContext) -> Response:
    """C{GET /api/v1/event/wait/TYPE/ID/STATE}: one, when it has become so."""
    type, key, target = context.parts
    _check_value("type", type, TYPES)
    _check_value("state", target, TARGETS)
    duration = QueryParameters(context.parameters).seconds(
        "duration", DEFAULT_DURATION, MAX_DURATION
    )
    began = context.services.clock.seconds()
    waited = await context.services.waits.wait(type, key, target, duration)
    seconds = round(context.services.clock.seconds() - began, 3)
    named = (await _measure(context, [waited.container]))[0] | {"waited": seconds}
    if not waited.is_certain:
        named["stale"] = True
    return json_response(dict(sorted(named.items())))


def _check_value(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidValue(name, value, ONE_OF.format(choices=", ".join(allowed)))


async def _measure(
    context: RequestContext, containers: Sequence[Container]
) -> list[dict[str, object]]:
    running = [c for c in containers if c.state is not State.STOPPED]
    stats: Mapping[str, ContainerStats] = {}
    if running:
        stats = await context.services.containers.sample(running)
    lookup = context.services.containers
    return [
        container_document(one, stats.get(one.reference), is_live=lookup.is_live(one.type))
        for one in containers
    ]


def container_document(
    container: Container, stats: ContainerStats | None, *, is_live: bool
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
            "cpu": round(stats.cpu, 6) if stats else 0.0,
            "ipaddress": list(stats.addresses) if stats else [],
            "memory": stats.memory_bytes if stats else 0,
            "rx": stats.rx_rate if stats else 0,
            "tx": stats.tx_rate if stats else 0,
        }
    if container.exit_code is not None:
        named["exitCode"] = container.exit_code
    if container.finished_us is not None:
        named["finishedAt"] = format_time(container.finished_us)
    if container.ports:
        named["ports"] = list(container.ports)
    if container.removed:
        named["removed"] = True
    elif not is_live:
        named["stale"] = True
    return dict(sorted(named.items()))
