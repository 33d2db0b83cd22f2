"""Commands that run for a while: the worker, the demo, the benchmark."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tasker.cli.common import Common, Output, flag, many


def worker(
    *,
    templates: Annotated[list[str], many("Files, folders or globs of templates to publish.")] = [],  # noqa: B006
    handlers: Annotated[list[str], many("Modules with handlers.")] = [],  # noqa: B006
    queues: Annotated[list[str] | None, many("Serve only these queues.")] = None,
    processes: Annotated[int, Parameter(help="Worker processes; 0 works in this very process.")] = 1,
    concurrency: Annotated[int | None, Parameter(help="Async steps that a process runs at once.")] = None,
    url: Annotated[
        str | None, Parameter(help="Work through this server, without a database; TASKER_RABBITMQ_URL wakes it.")
    ] = None,
    token: Annotated[str | None, Parameter(help="A token for it; TASKER_AUTH_TOKEN keeps it to yourself.")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Runs workers until a signal."""
    from tasker.cli.database import given_url, read_settings
    from tasker.cli.serving.child import Work
    from tasker.cli.serving.supervisor import run
    from tasker.model.errors import SettingsError

    if url is None and token is not None:
        raise SettingsError("--token is for a server: name it with --url")
    if url is not None and templates:
        raise SettingsError("a worker of a server publishes nothing: run `tasker template publish` with the same --url")
    if url is not None and common.database_url is not None:
        raise SettingsError("--url and --database-url are two ways to the same engine: give one")
    work = Work(
        dsn=None if url is not None else given_url(common, read_settings()),
        url=url,
        token=token,
        templates=tuple(templates),
        handlers=tuple(handlers),
        queues=None if queues is None else tuple(queues),
        concurrency=concurrency,
        paths=(str(Path.cwd()),),
    )
    return run(work, processes=processes)


def server(
    *,
    host: Annotated[str | None, Parameter(help="Where to listen; TASKER_SERVER_HOST, or loopback.")] = None,
    port: Annotated[int | None, Parameter(help="The port; TASKER_SERVER_PORT, or 8080; 0 takes a free one.")] = None,
    grpc_port: Annotated[int | None, Parameter(help="The port of gRPC, which is not served without.")] = None,
    auth: Annotated[
        Literal["auto", "on", "off"] | None, Parameter(help="Whether callers say who they are; auto: beyond loopback.")
    ] = None,
    insecure: Annotated[bool, flag("Whoever reaches the server may do everything, also beyond loopback.")] = False,
    processes: Annotated[int, Parameter(help="Server processes.")] = 1,
    templates: Annotated[list[str], many("Files, folders or globs of templates to publish.")] = [],  # noqa: B006
    common: Common = Common(),  # noqa: B008
) -> int:
    """Serves the API until a signal."""
    from tasker.cli.database import given_url, read_settings
    from tasker.model.errors import SettingsError

    try:
        from tasker.cli.serving.api import Serving, decide_auth, serve
        from tasker.cli.serving.grpc import check_grpc

        import_module("uvicorn")
    except ImportError as error:
        raise SettingsError("the server is not installed: pip install 'tasker-engine[server]'") from error
    if processes < 1:
        raise SettingsError(f"--processes {processes}: a server has at least one process")
    settings = read_settings()
    address = host or settings.server_host
    serving = Serving(
        dsn=given_url(common, settings),
        host=address,
        port=settings.server_port if port is None else port,
        asks_who_calls=decide_auth(address, auth or settings.server_auth, is_insecure=insecure),
        processes=processes,
        templates=tuple(templates),
        grpc_port=settings.server_grpc_port if grpc_port is None else grpc_port,
    )
    if serving.grpc_port is not None:
        check_grpc(settings)
    return serve(serving)


def demo(*, output: Output = Output()) -> int:  # noqa: B008
    """Plays the demo."""
    from tasker.demo import run

    return run(json=output.json)


def bench(
    *,
    shape: Annotated[str, Parameter(help="chain, diamond, tree, mixed, fan or single.")] = "chain",
    seconds: Annotated[float, Parameter(help="How long each measurement lasts.")] = 5,
    rounds: Annotated[int, Parameter(help="How often each is repeated, in turn.")] = 2,
    processes: Annotated[int | None, Parameter(help="Worker processes; one for each core, up to 4.")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Measures one shape."""
    from tasker.bench.cli import run
    from tasker.cli.database import given_url, read_settings

    return run(
        shape,
        json=common.json,
        database_url=given_url(common, read_settings()),
        seconds=seconds,
        rounds=rounds,
        processes=processes,
    )
