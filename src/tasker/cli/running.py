"""Commands that run for a while: the worker, the demo, the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tasker.cli.common import Common, Output, many


def worker(
    *,
    templates: Annotated[list[str], many("Files, folders or globs of templates to publish.")] = [],  # noqa: B006
    handlers: Annotated[list[str], many("Modules with handlers.")] = [],  # noqa: B006
    queues: Annotated[list[str] | None, many("Serve only these queues.")] = None,
    processes: Annotated[int, Parameter(help="Worker processes; 0 works in this very process.")] = 1,
    concurrency: Annotated[int | None, Parameter(help="Async steps that a process runs at once.")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Runs workers until a signal."""
    from tasker.cli.database import given_url, read_settings
    from tasker.cli.serving.child import Work
    from tasker.cli.serving.supervisor import run

    work = Work(
        dsn=given_url(common, read_settings()),
        templates=tuple(templates),
        handlers=tuple(handlers),
        queues=None if queues is None else tuple(queues),
        concurrency=concurrency,
        paths=(str(Path.cwd()),),
    )
    return run(work, processes=processes)


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
