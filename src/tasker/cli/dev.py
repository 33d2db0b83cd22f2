"""`tasker dev`: the database, the server and a worker, which begins anew when its files change."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
from cyclopts import Parameter

from tasker.cli.common import Common, many
from tasker.model.errors import SettingsError

if TYPE_CHECKING:
    from tasker.cli.dev_tree import Plan
    from tasker.settings import Settings

_COLOURS = {"dev": "\x1b[1m", "server": "\x1b[36m", "worker": "\x1b[32m"}
_LOOPBACK = "127.0.0.1"


def dev(
    *,
    templates: Annotated[list[str], many("Files, folders or globs of templates to publish.")] = [],  # noqa: B006
    handlers: Annotated[list[str], many("Modules with handlers.")] = [],  # noqa: B006
    port: Annotated[int | None, Parameter(help="The port; TASKER_SERVER_PORT, or 8080; 0 takes a free one.")] = None,
    worker: Annotated[bool, Parameter(help="Whether a worker is started too.")] = True,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Serves and works on this machine, for development, until Ctrl-C. With --json each line is a document."""
    from tasker import embedded
    from tasker.cli.database import given_url, read_settings

    for name in ("uvicorn", "watchfiles"):
        try:
            import_module(name)
        except ImportError as error:
            raise SettingsError("the server is not installed: pip install 'tasker-engine[server]'") from error
    settings = read_settings()
    if worker and not handlers:
        raise SettingsError("name the modules with your handlers: --handlers shop.handlers (or say --no-worker)")
    dsn = given_url(common, settings)
    server = None if dsn else embedded.start()
    try:
        plan = _plan(dsn or (server.dsn if server else ""), settings, templates, handlers if worker else None, port)
        where = embedded.redact(dsn) if dsn else f"the PostgreSQL of this project, {embedded.project_root()}"
        return _run(plan, settings, where, as_json=common.json)
    finally:
        if server is not None:
            server.release()


def _plan(dsn: str, settings: Settings, templates: list[str], handlers: list[str] | None, port: int | None) -> Plan:
    from tasker.cli.dev_tree import Plan, folders_of
    from tasker.cli.serving.api import Serving, decide_auth
    from tasker.cli.serving.child import Work
    from tasker.cli.serving.grpc import check_grpc

    if settings.server_grpc_port is not None:
        check_grpc(settings)
    serving = Serving(
        dsn=dsn,
        host=_LOOPBACK,
        port=settings.server_port if port is None else port,
        asks_who_calls=decide_auth(_LOOPBACK, settings.server_auth, is_insecure=False),
        grpc_port=settings.server_grpc_port,
    )
    work = Work(dsn=dsn, templates=tuple(templates), handlers=tuple(handlers or ()), paths=(str(Path.cwd()),))
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if settings.log_format == "auto":
        environment["TASKER_LOG_FORMAT"] = "text"
    return Plan(dsn, serving, tuple(templates), None if handlers is None else work, folders_of(templates), environment)


def _run(plan: Plan, settings: Settings, where: str, *, as_json: bool) -> int:
    from tasker.cli.dev_example import curl_line
    from tasker.cli.dev_tree import DevTree

    say = _say_json if as_json else _sayer()

    def started(port: int) -> None:
        say("", curl_line(port, plan.templates, settings.env))
        say("", f"The API is at http://{_LOOPBACK}:{port}/v1, its page at /v1/docs; the database is {where}")
        say("", "Files are watched: a change starts the worker anew. Ctrl-C stops all.")

    return asyncio.run(DevTree(plan, say, started).run())


def _say_json(who: str, line: str) -> None:
    print(orjson.dumps({"who": who or "dev", "line": line}).decode(), flush=True)


def _sayer() -> Callable[[str, str], None]:
    is_coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(who: str, line: str) -> None:
        head = f"{who:6} | " if who else ""
        if is_coloured and who:
            head = f"{_COLOURS[who]}{head}\x1b[0m"
        print(f"{head}{line}", flush=True)

    return say
