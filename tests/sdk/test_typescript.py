"""The TypeScript SDK: its own tests, the conformance suite, and what happens to it beside a real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.serving import Serving, served
from support.until import until
from typescript_support import built, run, tools

from tasker import Tasker
from tasker.settings import Settings
from tasker.templates import load_text

sys.path.insert(0, str(Path(__file__).parents[2] / "sdk" / "conformance"))
import drive

ROOT = Path(__file__).parents[2]
PATIENT = Settings(**{**drive.SETTINGS, "lease_s": 60.0})
"""On a slow machine a lease as short as the suite's would end by itself, and cost an attempt."""
SHORT = Settings(**{**drive.SETTINGS, "lease_s": 4.0})
OUTLASTS_S = 9
"""Longer than two of the short leases."""
CASES = [
    pytest.param(
        {**case, "context": {"seconds": OUTLASTS_S}} if case["name"] == "heartbeat" else case,
        id=case["name"],
        marks=[pytest.mark.slow] if case["name"] == "heartbeat" else [],
    )
    for case in drive.CASES
]
TRIAL = {
    "tasker": 1,
    "namespace_name": "trial",
    "version": "1.0.0",
    "steps": [{"name": "a", "handler": "gate"}],
}


@pytest.fixture(scope="session")
def package() -> Path:
    """The SDK, compiled."""
    return built()


@pytest.fixture
async def tasker(database: str) -> AsyncIterator[Tasker]:
    """Submits, and looks."""
    async with Tasker(database, worker=False, settings=PATIENT) as made:
        yield made


def test_its_own_tests_pass(package: Path) -> None:
    """What the SDK does by itself: turns, handlers, HTTP calls and the client, each against a server of the test's."""
    files = sorted(str(file) for file in (package / "build").glob("*.test.js"))
    said = run([tools()[0], "--test", "--test-reporter=spec", *files])
    passed = re.search(r"^\S+ pass (\d+)$", said, re.MULTILINE)
    assert passed
    assert int(passed[1]) >= 40, said[-2000:]


@pytest.mark.parametrize("case", CASES)
async def test_the_typescript_worker_conforms(package: Path, tasker: Tasker, case: dict[str, Any]) -> None:
    """Each case ends as it says, with a worker in another language."""
    words = [tools()[0], str(package / "build" / "conformance-worker.js")]
    settings = SHORT if case["name"] == "heartbeat" else PATIENT
    made: list[drive.Faults] = []

    def make() -> Any:
        made.append(drive.Faults(Tasker(tasker.dsn, worker=False, settings=settings).asgi()))
        return made[0]

    with served(make) as server:
        assert await drive.run_case(tasker, case, lambda: drive.command(words, server.url), made[0]) == []


@asynccontextmanager
async def trial_worker(package: Path, url: str, ledger: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """The worker of trials, asked to stop at the end."""
    process = await asyncio.create_subprocess_exec(
        tools()[0],
        str(package / "build" / "trial-worker.js"),
        env={**os.environ, "TASKER_URL": url, "TRIAL_LEDGER": str(ledger)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), drive.WITHIN_S) == 0


def serving(tasker: Tasker, port: int = 0, settings: Settings = PATIENT) -> AbstractContextManager[Serving]:
    """A server on the test's database."""
    return served(lambda: Tasker(tasker.dsn, worker=False, settings=settings).asgi(), port=port)


def read(ledger: Path) -> str:
    """What handlers have written down."""
    return ledger.read_text() if ledger.exists() else ""


async def submit(tasker: Tasker, handler: str, **context: Any) -> Any:
    """A task of one step with this handler; its id."""
    definition = {**TRIAL, "name": handler, "steps": [{"name": "a", "handler": handler}]}
    await tasker.publish(load_text(json.dumps(definition)).template)
    return (await tasker.submit(handler, namespace="trial", context=context)).task_uuid


async def test_a_server_that_comes_back_is_told_what_ended_meanwhile(
    package: Path, tasker: Tasker, tmp_path: Path
) -> None:
    """A step that ends while the server is away is recorded when it is back: on its attempt, after one run."""
    ledger, gate = tmp_path / "ledger", tmp_path / "gate"
    async with AsyncExitStack() as stack:
        with serving(tasker) as server:
            await stack.enter_async_context(trial_worker(package, server.url, ledger))
            task = await submit(tasker, "gate", file=str(gate))
            await until(lambda: "begins" in read(ledger), within_s=drive.WITHIN_S)
        gate.touch()
        await until(lambda: "done" in read(ledger), within_s=drive.WITHIN_S)
        with serving(tasker, server.port):
            done = await tasker.wait(task, drive.WITHIN_S)
            await stack.aclose()
    assert (done.status, done.results["a"]) == ("complete", {"attempt": 1})
    assert read(ledger) == "begins 1\ndone\n"


async def test_a_cancelled_task_stops_its_handler(package: Path, tasker: Tasker, tmp_path: Path) -> None:
    """The handler of a task that is cancelled is told by its signal."""
    ledger = tmp_path / "ledger"
    with serving(tasker) as server:
        async with trial_worker(package, server.url, ledger):
            task = await submit(tasker, "gate", file=str(tmp_path / "never"))
            await until(lambda: "begins" in read(ledger), within_s=drive.WITHIN_S)
            await tasker.cancel(task)
            await until(lambda: "told" in read(ledger), within_s=drive.WITHIN_S)


@pytest.mark.slow
async def test_a_handler_that_blocks_the_loop_keeps_its_step(package: Path, tasker: Tasker, tmp_path: Path) -> None:
    """A worker whose handler computes for two leases beats all the same: nothing is taken away from it."""
    with serving(tasker, settings=SHORT) as server:
        async with trial_worker(package, server.url, tmp_path / "ledger"):
            task = await submit(tasker, "compute", seconds=OUTLASTS_S)
            done = await tasker.wait(task, drive.WITHIN_S)
    assert (done.status, done.step("a").attempt) == ("complete", 1)


async def node(script: Path, url: str) -> str:
    """What a program prints that ends well."""
    process = await asyncio.create_subprocess_exec(
        tools()[0], str(script), env={**os.environ, "TASKER_URL": url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), drive.WITHIN_S)
    assert process.returncode == 0, errors.decode()[-3000:]
    return out.decode()


async def test_the_client_does_what_it_says(package: Path, tasker: Tasker) -> None:
    """Tasks are submitted, explained, held, completed by hand, watched, cancelled and listed; refusals are typed."""
    await tasker.publish(load_text(json.dumps({**TRIAL, "name": "gate"})).template)
    with serving(tasker) as server:
        await node(package / "build" / "trial-client.js", server.url)


async def test_the_programs_of_the_page_run(package: Path, tasker: Tasker) -> None:
    """Every program of docs/typescript.md compiles, and the quick start prints what the page says."""
    page = (ROOT / "docs" / "typescript.md").read_text()
    folder = package / "build" / "page"
    folder.mkdir(exist_ok=True)
    blocks = re.findall(r"^```ts\n(// (\S+\.ts)\n.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == page.count("```ts\n") >= 5
    for text, name in blocks:
        (folder / name).write_text(text)
    config = {"extends": "../../tsconfig.json", "include": [], "compilerOptions": {"rootDir": ".", "outDir": "."}}
    (folder / "tsconfig.json").write_text(json.dumps({**config, "files": [name for _, name in blocks]}))
    await asyncio.to_thread(run, [tools()[0], "node_modules/typescript/bin/tsc", "-p", str(folder)])
    template = re.search(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    promised = re.search(r"prints `(.+?)`", page)
    assert template
    assert promised
    await tasker.publish(load_text(template[1]).template)
    with serving(tasker) as server:
        async with drive.command([tools()[0], str(folder / "worker.js")], server.url):
            assert (await node(folder / "submit.js", server.url)).strip() == promised[1]
