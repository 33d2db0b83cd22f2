"""The demo from beginning to end: four acts, then the checks."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.markup import escape

from tasker.app import Tasker
from tasker.cli.serving.child import Work
from tasker.demo import screen
from tasker.demo.crowd import run_plain, run_with_tasker
from tasker.demo.figures import CrowdFigures, DemoFigures, KillFigures
from tasker.demo.figures import checks as checks_of
from tasker.demo.fleet import fleet
from tasker.demo.killed import run_and_kill
from tasker.demo.one import ending, play_one
from tasker.demo.shopfront import HANDLERS, crowd, examples_folder, one_checkout, open_examples, shop, workflow
from tasker.embedded import redact, start
from tasker.model.errors import SettingsError
from tasker.model.task import TaskView
from tasker.model.template import Template
from tasker.settings import Settings

QUICK = {"lease_s": 3.0, "beat_s": 0.5, "sweep_s": 0.2, "poll_s": 0.05}
"""Settings of the demo: what takes seconds in earnest takes moments here."""
ONE_LATENCY_S, CROWD_LATENCY_S, KILLED_LATENCY_S = 0.25, 0.02, 0.05
CHECKOUTS_MIN = 30
KILLED_PROCESSES, KILLED_CONCURRENCY = 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the demo plays: a database, a namespace that no other run has, a folder for ledgers, and the screen."""

    dsn: str
    namespace: str
    template: Template
    folder: Path
    console: Console
    settings: Settings

    def tasker(self, *, works: bool) -> Tasker:
        """A Tasker of this scene; where it works, on this scene's checkouts alone."""
        return Tasker(
            self.dsn,
            templates=[self.template],
            handlers=[HANDLERS],
            queues=[self.namespace],
            settings=self.settings,
            worker=works,
        )


def play(*, json: bool, checkouts: int, killed_checkouts: int, seed: int) -> int:
    """See tasker.demo.run."""
    if min(checkouts, killed_checkouts) < CHECKOUTS_MIN:
        raise SettingsError(
            f"a crowd of the demo has at least {CHECKOUTS_MIN} checkouts, or none meets a permanent fault"
        )
    began = time.perf_counter()
    # Only the document goes to stdout: what anything else may print, logs for one, goes to stderr.
    with redirect_stdout(sys.stderr) if json else nullcontext(), _scene(Console(quiet=json)) as scene:
        figures, commands = asyncio.run(_acts(scene, checkouts, killed_checkouts, seed))
    made = checks_of(figures)
    is_ok = all(check.is_met for check in made)
    seconds = round(time.perf_counter() - began, 1)
    if json:
        told = {"namespace": scene.namespace, **asdict(figures), "checks": made, "ok": is_ok, "seconds": seconds}
        print(orjson.dumps({**told, "look_around": list(commands)}, option=orjson.OPT_INDENT_2).decode())
        return 0 if is_ok else 1
    screen.heading(
        scene.console, "What was promised", f"Checked on the figures above, {seconds} seconds after the start."
    )
    screen.checks(scene.console, made)
    screen.heading(scene.console, "Look around", "Everything is still in the database:")
    screen.commands(scene.console, commands)
    return 0 if is_ok else 1


@contextmanager
def _scene(console: Console) -> Generator[Scene]:
    open_examples()
    settings = Settings().model_copy(update=QUICK)  # pyright: ignore[reportCallIssue] - every field has a default
    namespace = f"demo_{secrets.token_hex(3)}"
    with _database(console, settings) as dsn, tempfile.TemporaryDirectory(prefix="tasker-demo-") as folder:
        yield Scene(
            dsn=dsn,
            namespace=namespace,
            template=workflow(namespace),
            folder=Path(folder),
            console=console,
            settings=settings,
        )


@contextmanager
def _database(console: Console, settings: Settings) -> Generator[str]:
    """The DSN that was given, or the embedded server's, which is held until the end."""
    if settings.database_url is not None:
        screen.say(console, f"Database: {escape(redact(settings.database_url))}")
        yield settings.database_url
        return
    screen.say(console, "Database: PostgreSQL of the project's own, which starts now and stops with the demo")
    with start() as server:
        yield server.dsn


async def _acts(scene: Scene, checkouts: int, killed_checkouts: int, seed: int) -> tuple[DemoFigures, dict[str, str]]:
    async with scene.tasker(works=True) as tasker:
        one, charges = await _act_one(scene, tasker)
        plain = await _act_two_plain(scene, checkouts, seed)
        with_tasker, views = await _act_two_tasker(scene, tasker, checkouts, seed, plain)
    killed = await _act_three(scene, killed_checkouts, seed + 1)
    figures = DemoFigures(one=ending(one), one_charges=charges, plain=plain, tasker=with_tasker, killed=killed)
    return figures, _commands(scene, one, views)


async def _act_one(scene: Scene, tasker: Tasker) -> tuple[TaskView, int]:
    screen.heading(
        scene.console,
        "1. One checkout",
        "Five steps. The payment gateway takes the money, and its answer gets lost: nobody can know whether it did.",
    )
    with shop(scene.folder / "one", count=1, latency_s=ONE_LATENCY_S) as made:
        return await play_one(scene.console, tasker, scene.namespace, one_checkout()), made.books().charges


async def _act_two_plain(scene: Scene, checkouts: int, seed: int) -> CrowdFigures:
    screen.heading(
        scene.console,
        f"2. {checkouts} checkouts on a bad day",
        "15 % meet a passing fault (a service that times out, or is away, once or twice), 2 % a permanent one.\n"
        "First as one plain function, which stops at the first error:",
    )
    people = crowd(seed, checkouts)
    with (
        shop(scene.folder / "plain", count=checkouts, latency_s=CROWD_LATENCY_S) as made,
        screen.bar(scene.console, "plain function", checkouts) as tick,
    ):
        figures = await run_plain(people, made, tick)
    screen.crowd_table(scene.console, {"plain function": figures})
    return figures


async def _act_two_tasker(
    scene: Scene, tasker: Tasker, checkouts: int, seed: int, plain: CrowdFigures
) -> tuple[CrowdFigures, list[TaskView]]:
    screen.say(scene.console, "\nThen the same checkouts with Tasker:\n")
    with (
        shop(scene.folder / "tasker", count=checkouts, latency_s=CROWD_LATENCY_S) as made,
        screen.bar(scene.console, "Tasker", checkouts) as tick,
    ):
        figures, views = await run_with_tasker(tasker, scene.namespace, crowd(seed, checkouts), made, tick)
    screen.crowd_table(scene.console, {"plain function": plain, "Tasker": figures})
    return figures, views


async def _act_three(scene: Scene, checkouts: int, seed: int) -> KillFigures:
    screen.heading(
        scene.console,
        f"3. {checkouts} checkouts, and kill -9",
        f"{KILLED_PROCESSES} worker processes, as `tasker worker --processes {KILLED_PROCESSES}` runs them. "
        "In the middle, one of them is killed.",
    )
    ledger = scene.folder / "killed"
    work = Work(
        dsn=scene.dsn,
        handlers=(HANDLERS,),
        queues=(scene.namespace,),
        concurrency=KILLED_CONCURRENCY,
        paths=(str(examples_folder()),),
    )
    variables = {
        "SHOP_LEDGER": str(ledger),
        "SHOP_LATENCY_MS": str(KILLED_LATENCY_S * 1000),
        **{f"TASKER_{name.upper()}": str(value) for name, value in QUICK.items()},
    }
    with (
        shop(ledger, count=checkouts, latency_s=0) as made,
        screen.bar(scene.console, "with a kill -9", checkouts) as tick,
    ):
        async with (
            scene.tasker(works=False) as tasker,
            fleet(work, processes=KILLED_PROCESSES, environment=variables, log=scene.folder / "workers.log") as workers,
        ):
            figures = await run_and_kill(tasker, scene.namespace, crowd(seed, checkouts), made, workers, tick)
    screen.say(
        scene.console,
        f"Worker {figures.pid} was killed with {figures.steps_in_hand} steps in its hands, while "
        f"{figures.open_at_kill} checkouts were open; {figures.steps_taken_over} of these steps ran again elsewhere.\n",
    )
    screen.crowd_table(scene.console, {"Tasker, a worker killed": figures.crowd})
    return figures


def _commands(scene: Scene, one: TaskView, views: list[TaskView]) -> dict[str, str]:
    """What to type next, with what it shows."""
    failed = next((view for view in views if view.errors), one)
    step = next(iter(failed.errors), "process_payment")
    tasker = _program()
    return {
        f"{tasker} task get {one.task_uuid}": "the first checkout, with its steps and results",
        f"{tasker} task steps {failed.task_uuid}": f"one that ended in error at {step}",
        f"{tasker} task list --namespace {scene.namespace} --state error": "all of this run that did",
        f"{tasker} template graph {scene.namespace}/process_order": "the workflow as a graph",
        f"{tasker} db status": "where the database is",
    }


def _program() -> str:
    """How to call `tasker` from here: by its name if that is this installation, else by its path."""
    script = Path(sys.executable).parent / "tasker"
    found = shutil.which("tasker")
    if found is not None and Path(found).parent == script.parent:
        return "tasker"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))
