"""One worker process: what the supervisor starts, and what `--processes 0` runs in the foreground."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import orjson
import structlog
import uvloop

from tasker.app import Tasker
from tasker.cli import exits
from tasker.model.errors import DatabaseUnavailable, ServerUnavailable, TaskerError
from tasker.settings import Settings
from tasker.worker.garbage import collect_less

if TYPE_CHECKING:
    from tasker.remote.worker import RemoteWorker

_AWAY = (DatabaseUnavailable, ServerUnavailable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a worker process is to do; travels to a child as JSON."""

    dsn: str | None
    templates: tuple[str, ...] = ()
    handlers: tuple[str, ...] = ()
    queues: tuple[str, ...] | None = None
    concurrency: int | None = None
    url: str | None = None
    """Of a server that is worked through, without a database."""
    token: str | None = None
    """What the server knows the worker by, where the environment does not say it."""
    paths: tuple[str, ...] = ()
    """Folders to put in front of sys.path, where handlers are imported from."""

    def to_json(self) -> str:
        """As one line."""
        return orjson.dumps(asdict(self)).decode()


def _nobody() -> None:
    """Whom it concerns that a worker has started, where there is none."""


def work_in_foreground(work: Work, *, watches_parent: bool = False, started: Callable[[], None] = _nobody) -> int:
    """Works until SIGTERM or SIGINT, then drains; a second signal stops at once. The exit code.

    `started` is called once the worker takes work.

    Under a parent (`watches_parent`) only the first counts: whoever signals the whole group sends the child one, and
    the parent sends one more. What is to stop at once there is killed, and the parent ends its session.
    """
    sys.path[:0] = [path for path in work.paths if path not in sys.path]
    configure_logs(Settings())
    return uvloop.run(_work(work, watches_parent, started))


def configure_logs(settings: Settings) -> None:
    """Logs go to stderr, as `log_level` and `log_format` say."""
    is_terminal = sys.stderr.isatty()
    is_text = settings.log_format == "text" or (settings.log_format == "auto" and is_terminal)
    render = (
        structlog.dev.ConsoleRenderer(colors=is_terminal, exception_formatter=structlog.dev.plain_traceback)
        if is_text
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


async def _work(work: Work, watches_parent: bool, started: Callable[[], None]) -> int:
    loop = asyncio.get_running_loop()
    stopping, at_once = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (at_once if stopping.is_set() and not watches_parent else stopping).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if watches_parent:
        loop.add_reader(sys.stdin, _when_parent_is_gone, loop)
    try:
        tasker = _made(work)
        await tasker.start()
    except TaskerError as error:
        exits.say(error, as_json=False)
        return exits.AWAY if watches_parent and isinstance(error, _AWAY) else exits.exit_code(error)
    collect_less()
    started()
    code = await _until_done(tasker, stopping)
    drained = asyncio.create_task(tasker.stop())
    hurried = asyncio.create_task(at_once.wait())
    await asyncio.wait([drained, hurried], return_when=asyncio.FIRST_COMPLETED)
    if not drained.done():
        tasker.hurry()
    await drained
    hurried.cancel()
    return code if watches_parent else 0


async def _until_done(tasker: Tasker | RemoteWorker, stopping: asyncio.Event) -> int:
    """Works until a signal, or until an operator has drained the worker; the exit code for a parent."""
    asked, drained = asyncio.create_task(stopping.wait()), asyncio.create_task(tasker.drained())
    await asyncio.wait([asked, drained], return_when=asyncio.FIRST_COMPLETED)
    code = exits.DRAINED if drained.done() else exits.OK
    asked.cancel()
    drained.cancel()
    return code


def _made(work: Work) -> Tasker | RemoteWorker:
    if work.url is not None:
        from tasker.remote.worker import RemoteWorker

        return RemoteWorker(
            work.url, handlers=work.handlers, queues=work.queues, concurrency=work.concurrency, token=work.token
        )
    return Tasker(
        work.dsn,
        templates=work.templates,
        handlers=work.handlers,
        queues=work.queues,
        concurrency=work.concurrency,
    )


def _when_parent_is_gone(loop: asyncio.AbstractEventLoop) -> None:
    if not os.read(sys.stdin.fileno(), 1):
        loop.remove_reader(sys.stdin)
        signal.raise_signal(signal.SIGTERM)


def main() -> int:
    """`python -m tasker.cli.serving.child`, with the work as a line of JSON on stdin, which stays open.

    Not as an argument: everybody on the machine can read those, and a DSN may hold a password.
    """
    fields = orjson.loads(sys.stdin.buffer.readline())
    for name in ("templates", "handlers", "queues", "paths"):
        fields[name] = None if fields[name] is None else tuple(fields[name])
    return work_in_foreground(Work(**fields), watches_parent=True)


if __name__ == "__main__":
    sys.exit(main())
