"""The routes of the daemon's own state: for people, for health checks, for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from stationd.web.request_context import RequestContext, Response
from stationd.web.routes_log import json_response


async def get_system(context: RequestContext) -> Response:
    """C{GET /api/v1/system}."""
    return json_response(context.services.system())


async def healthz(context: RequestContext) -> Response:
    """C{GET /healthz}: it answers, so it lives. Sources may be absent for good
    reasons; that is no illness."""
    return Response(body=b"ok\n", content_type="text/plain; charset=utf-8")


async def metrics(context: RequestContext) -> Response:
    """C{GET /metrics}, in Prometheus' text format
    (U{https://prometheus.io/docs/instrumenting/exposition_formats/})."""
    system = context.services.system()
    lines: list[str] = []

    def metric(name: str, kind: str, help: str, samples: Mapping[str, object]) -> None:
        full = f"stationd_{name}"
        lines.extend([f"# HELP {full} {help}", f"# TYPE {full} {kind}"])
        lines.extend(f"{full}{labels} {value}" for labels, value in samples.items())

    metric("info", "gauge", "Which stationd this is.", {f'{{version="{system["version"]}"}}': 1})
    journals = {
        '{journal="log"}': context.services.log.status(),
        '{journal="event"}': context.services.event.status(),
    }
    for name, kind, help, value in (
        ("records", "gauge", "Records kept.", lambda status: status.records),
        ("bytes", "gauge", "Bytes on disk.", lambda status: status.size_bytes),
        ("last", "counter", "Newest number.", lambda status: status.last),
        ("damage", "gauge", "Damaged places.", lambda status: len(status.damage)),
    ):
        samples = {labels: value(status) for labels, status in journals.items()}
        metric(f"journal_{name}", kind, help, samples)
    metric("waits_open", "gauge", "Waits for containers.", {"": context.services.waits.open})
    metric("sessions", "gauge", "Sessions.", {"": len(context.services.sessions)})
    sources = system.get("sources")
    assert isinstance(sources, dict)
    states = {
        f'{{source="{name}"}}': int(source["state"] == "live") for name, source in sources.items()
    }
    metric("source_live", "gauge", "Whether a source is being followed.", states)
    text = "\n".join(lines) + "\n"
    return Response(body=text.encode(), content_type="text/plain; version=0.0.4; charset=utf-8")
