"""The routes that are no operations: health, figures, and the API's description. Open to everybody."""

from __future__ import annotations

from functools import cache

import orjson
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tasker.model.errors import DatabaseUnavailable, TaskerError
from tasker.model.fleet import FleetFigures, Stats
from tasker.operations import Engine, health
from tasker.operations.registry import Answer
from tasker.server.rest.door import Door, guarded
from tasker.server.rest.openapi import document
from tasker.server.rest.pages import SECURITY_HEADERS, page
from tasker.store.connection import Connection
from tasker.store.errors import DatabaseError
from tasker.store.fleet import Fleet

COUNT_MAX = 10_000


def add_system_routes(app: FastAPI, door: Door) -> None:
    """Adds them to the application."""
    engine = door.engine

    async def live(request: Request) -> Response:
        return _json(health.health())

    async def ready(request: Request) -> Response:
        report = await health.readiness(engine)
        if not report.is_ready:
            raise DatabaseUnavailable
        return _json(report)

    async def detailed(request: Request) -> Response:
        report = await health.details(engine)
        return _json(report, 200 if report.is_ready else 503)

    async def figures(request: Request) -> Response:
        text = door.entrance.metrics.text(*await _stats(engine))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def description(request: Request) -> Response:
        return Response(_document(_prefix(request), door.entrance.asks_who_calls), media_type="application/json")

    async def docs(request: Request) -> Response:
        made = orjson.loads(_document(_prefix(request), door.entrance.asks_who_calls))
        return HTMLResponse(page(made, f"{_prefix(request)}/v1/openapi.json"), headers=SECURITY_HEADERS)

    for path in ("/health", "/health/live"):
        app.add_route(path, guarded(live), methods=["GET"])
    app.add_route("/health/ready", guarded(ready), methods=["GET"])
    app.add_route("/health/detailed", guarded(detailed), methods=["GET"])
    app.add_route("/metrics", guarded(figures), methods=["GET"])
    for path in ("/v1/openapi.json", "/api-docs/openapi.json"):
        app.add_route(path, guarded(description), methods=["GET"])
    for path in ("/v1/docs", "/api-docs/ui"):
        app.add_route(path, guarded(docs), methods=["GET"])


def _json(answer: Answer, status: int = 200) -> Response:
    return Response(answer.model_dump_json(), status, media_type="application/json")


async def _stats(engine: Engine) -> tuple[Stats | None, FleetFigures | None]:
    fleet = Fleet(engine.settings.schema_name)

    async def look(connection: Connection) -> tuple[Stats, FleetFigures]:
        stats = await engine.reads.stats(connection, count_max=COUNT_MAX)
        return stats, await fleet.figures(connection, count_max=COUNT_MAX)

    try:
        return await engine.ask(look)
    except (TaskerError, DatabaseError):
        return None, None


def _prefix(request: Request) -> str:
    """Where the API is mounted."""
    return str(request.scope.get("root_path", ""))


@cache
def _document(prefix: str, asks_who_calls: bool) -> bytes:
    return orjson.dumps(document(prefix, asks_who_calls=asks_who_calls))
