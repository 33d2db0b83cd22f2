"""`tasker server`: the API on uvicorn, in this process or in several, until a signal."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

import orjson

from tasker.app import Tasker
from tasker.cli.serving.child import configure_logs
from tasker.cli.serving.grpc import reserved, with_grpc
from tasker.embedded import Embedded, start
from tasker.model.errors import DatabaseUnavailable, SettingsError
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.worker.garbage import collect_less
from tasker.worker.log import log

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tasker.operations.turning import Turning

_HANDED_DOWN = "_TASKER_SERVER"
"""What server processes read their task from: the environment, since everybody on the machine can read arguments."""
_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_WAITING_MAX = 2048
_PATIENCE_S = 0.5
_STARTS_WITHIN_S = 60
"""uvicorn kills a process that has not answered for so long, and one that is being started answers nothing."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a server is to do."""

    dsn: str | None
    host: str
    port: int
    asks_who_calls: bool
    processes: int = 1
    templates: tuple[str, ...] = ()
    grpc_port: int | None = None
    """None: gRPC is not served."""


def decide_auth(host: str, auth: str, *, is_insecure: bool) -> bool:
    """Whether callers have to say who they are. Raises SettingsError for a host that is open to everybody unasked."""
    if is_loopback(host):
        return auth == "on"
    if is_insecure:
        return auth == "on"
    if auth == "off":
        raise SettingsError(
            f"--host {host} is reached from elsewhere, and nobody would be asked who calls: leave out --auth off "
            "(TASKER_SERVER_AUTH), or say --insecure if whoever reaches it may do everything"
        )
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def announce(port: int, serving: Serving) -> None:
    """Tells people where the server listens."""
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    who = (
        "callers need an API key (tasker auth key create) or a token"
        if serving.asks_who_calls
        else "no key is asked for"
    )
    print(f"tasker: serving http://{host}:{port}/v1 ({who}); /v1/docs describes it", file=sys.stderr, flush=True)
    if serving.grpc_port is not None:
        print(f"tasker: serving gRPC on {host}:{serving.grpc_port}", file=sys.stderr, flush=True)


def serve(serving: Serving, announced: Callable[[int, Serving], None] = announce) -> int:
    """Serves until SIGTERM or SIGINT; `announced` is told the port. The exit code.

    Raises DatabaseUnavailable, SettingsError, OSError.
    """
    import uvicorn

    from tasker.cli.serving.metrics_folder import shared_folder

    settings = Settings()  # pyright: ignore[reportCallIssue] - every field has a default
    with ExitStack() as stack:
        dsn = serving.dsn
        if dsn is None:
            dsn = stack.enter_context(_Released(start())).dsn
        asyncio.run(_check_database(dsn))
        if serving.grpc_port is not None:
            kept = stack.enter_context(reserved(serving.host, serving.grpc_port))
            serving = replace(serving, grpc_port=kept.getsockname()[1])
        os.environ[_HANDED_DOWN] = orjson.dumps({**asdict(serving), "dsn": dsn}).decode()
        if serving.processes > 1 and _METRICS_FOLDER not in os.environ:
            os.environ[_METRICS_FOLDER] = str(stack.enter_context(shared_folder()))
        config = uvicorn.Config(
            "tasker.cli.serving.api:application",
            factory=True,
            host=serving.host,
            port=serving.port,
            workers=serving.processes,
            loop="uvloop",
            http="tasker.server.rest.protocol:BoundedHttp",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_worker_healthcheck=_STARTS_WITHIN_S,
            timeout_graceful_shutdown=round(settings.server_drain_s),
        )
        return _run(config, serving, announced)


def _run(config: Any, serving: Serving, announced: Callable[[int, Serving], None]) -> int:
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    configure_logs(Settings())
    listening = _listening(serving.host, serving.port)
    announced(listening.getsockname()[1], serving)
    if serving.processes > 1:
        Multiprocess(config, sockets=[listening]).run()
        return 0
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn sends itself what it was stopped by, once it has stopped
        signal.signal(number, _nothing)
    server = uvicorn.Server(config)
    server.run(sockets=[listening])
    return 0 if server.started else 1


def _nothing(number: int, frame: object) -> None:
    """Takes a signal that has had its effect."""


def _listening(host: str, port: int) -> socket.socket:
    """A socket that server processes share; who connects waits until one has started. Raises SettingsError."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, number)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_WAITING_MAX)
        made.set_inheritable(True)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return made


async def _check_database(dsn: str) -> None:
    await (await connect(dsn)).close()


def application() -> FastAPI:
    """The application of one server process, as `serve` has told it."""
    from tasker.cli.serving.foreign_logs import take_foreign_logs
    from tasker.cli.serving.metrics_folder import hold_shared
    from tasker.server.auth.wiring import authenticator
    from tasker.server.entrance import Entrance
    from tasker.server.rest import create_app
    from tasker.server.rest.protocol import BoundedHttp

    hold_shared()
    told = orjson.loads(os.environ[_HANDED_DOWN])
    settings = Settings()  # pyright: ignore[reportCallIssue] - every field has a default
    configure_logs(settings)
    take_foreign_logs()
    BoundedHttp.bound(settings)
    settings = settings.model_copy(update={"read_connections": settings.server_connections})
    tasker = Tasker(told["dsn"], templates=told["templates"], settings=settings, worker=False)
    engine = tasker.engine()
    asks, running = told["asks_who_calls"], patient(tasker, engine.turning)
    entrance = Entrance(engine, authenticator(settings, engine.ask) if asks else None)
    made = create_app(
        engine,
        entrance=entrance,
        running=running if told["grpc_port"] is None else with_grpc(running, entrance, told["host"], told["grpc_port"]),
        hosts=LOOPBACK_NAMES if not asks and is_loopback(told["host"]) else None,
    )
    collect_less()  # a request that met the collector among the application's own objects took 80 ms longer
    return made


@asynccontextmanager
async def patient(tasker: Tasker, turning: Turning | None = None) -> AsyncGenerator[None]:
    """Starts a Tasker as soon as the database answers: a server process that is started anew meanwhile need not fail,
    and whoever connects waits for it. With `turning` the process sweeps from then on."""
    while True:
        try:
            await tasker.start()
            break
        except DatabaseUnavailable:
            log.warning("the database does not answer; the server waits for it")
            await asyncio.sleep(_PATIENCE_S)
    watching = asyncio.create_task(_end_with_parent())
    try:
        if turning is not None:
            with suppress(DatabaseUnavailable):  # then it begins with the first call of a worker
                await turning.start()
        yield
    finally:
        watching.cancel()
        await tasker.stop()


async def _end_with_parent() -> None:
    """Of several server processes none goes on when their parent was killed."""
    parent = parent_process()
    while parent is not None:
        await asyncio.sleep(_PATIENCE_S)
        if not parent.is_alive():
            signal.raise_signal(signal.SIGTERM)
            return


class _Released(AbstractContextManager[Embedded]):
    """The embedded server, let go at the end."""

    def __init__(self, server: Embedded) -> None:
        self._server = server

    def __enter__(self) -> Embedded:
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.release()
