"""The processes below `tasker dev`: the server and the worker, each told on stdin what it is to do.

    python -m tasker.cli.dev_child server|worker FD

A child says on the pipe FD that it has started: the server its port. It ends with its parent, when stdin does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import orjson

from tasker.cli import exits
from tasker.cli.serving.api import Serving, serve
from tasker.cli.serving.child import Work, work_in_foreground
from tasker.handlers import Handler, discover
from tasker.model.errors import InvalidHandler, TaskerError
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.store.migrate import migrate
from tasker.store.verbs import Verbs
from tasker.templates import load_paths
from tasker.templates.publishing import publish
from tasker.worker.plans import check_handlers


async def publish_anew(dsn: str, paths: Iterable[str], handlers: Mapping[str, Handler] | None = None) -> int:
    """Publishes templates; other content of the same version becomes a new revision. How many there are.

    Raises before anything is written: TemplateError, and with `handlers` HandlerNotFound.
    """
    settings = Settings()
    templates = [loaded.template for loaded in load_paths(paths, settings.env)]
    for template in templates if handlers else ():
        check_handlers(template, handlers or {}, None)
    connection = await connect(dsn, pinned=False)
    try:
        await migrate(connection, settings.schema_name)
        for template in templates:
            await publish(connection, Verbs(settings.schema_name), template, force=True)
    finally:
        await connection.close()
    return len(templates)


def place_of(error: BaseException, folder: Path) -> str | None:
    """Where the user's own code went wrong: the innermost line of a file in the folder."""
    cause = error.__cause__
    if cause is None:
        return None
    if isinstance(cause, SyntaxError) and cause.filename:
        return f"{cause.filename}:{cause.lineno}"
    frames = [frame for frame in traceback.extract_tb(cause.__traceback__) if Path(frame.filename).is_absolute()]
    own = [one for one in frames if Path(one.filename).is_relative_to(folder) and "site-packages" not in one.filename]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None


def _work(work: Work, ready: int) -> int:
    sys.path[:0] = [path for path in work.paths if path not in sys.path]
    try:
        handlers = discover(work.handlers)
        asyncio.run(publish_anew(work.dsn or "", work.templates, handlers))
    except InvalidHandler as error:
        place = place_of(error, Path.cwd())
        exits.say(InvalidHandler(f"{place}: {error}") if place else error, as_json=False)
        return exits.exit_code(error)
    except TaskerError as error:
        exits.say(error, as_json=False)
        return exits.exit_code(error)
    return work_in_foreground(work, watches_parent=True, started=lambda: _say(ready, "started"))


def _serve(serving: Serving, ready: int) -> int:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        return serve(serving, lambda port, _: _say(ready, str(port)))
    except TaskerError as error:
        exits.say(error, as_json=False)
        return exits.exit_code(error)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _say(ready: int, text: str) -> None:
    os.write(ready, text.encode() + b"\n")


def main(role: str, ready: int) -> int:
    """Reads what there is to do from stdin, as a line of JSON: a DSN may hold a password, and arguments are seen."""
    os.set_inheritable(ready, False)
    line = b""
    while not line.endswith(b"\n") and (part := os.read(sys.stdin.fileno(), 1)):
        line += part
    told: dict[str, Any] = orjson.loads(line)
    told = {name: tuple(cast("list[str]", one)) if isinstance(one, list) else one for name, one in told.items()}
    return _serve(Serving(**told), ready) if role == "server" else _work(Work(**told), ready)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
