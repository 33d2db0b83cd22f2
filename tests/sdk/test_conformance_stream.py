"""The conformance suite of workers, run against the Python worker through a server over one stream of gRPC."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tasker import Tasker
from tasker.remote.worker import RemoteWorker
from tasker.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[2] / "sdk" / "conformance"))
import drive
import python_worker
import stream_faults

SETTINGS = Settings(**drive.SETTINGS)


@pytest.fixture
async def tasker(database: str) -> AsyncIterator[Tasker]:
    """Submits, and looks."""
    async with Tasker(database, worker=False, settings=SETTINGS) as made:
        yield made


@pytest.mark.parametrize("case", drive.CASES, ids=lambda case: case["name"])
async def test_the_python_worker_conforms_over_a_stream(tasker: Tasker, case: dict[str, Any]) -> None:
    """Each case ends as it says when all calls are messages of one stream, which breaks where an answer is lost."""
    async with stream_faults.served_grpc(tasker.dsn) as (url, faults):

        @asynccontextmanager
        async def start() -> AsyncGenerator[None]:
            async with RemoteWorker(url, handlers=[python_worker], settings=SETTINGS):
                yield

        assert await drive.run_case(tasker, case, start, faults) == []
        assert bool(faults.lost) == ("lose_every" in case.get("fault", {}))
