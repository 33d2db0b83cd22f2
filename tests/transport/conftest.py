"""Each test of the suite runs on all three transports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from transport_support import TRANSPORTS, Begin, Foreign, Ran, chain, fresh_namespace, settings

from tasker import Tasker


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """The transport under test."""
    return request.param


@pytest.fixture
def url(transport: str, request: pytest.FixtureRequest) -> SecretStr | None:
    """Where RabbitMQ is, for the transport that needs it."""
    return request.getfixturevalue("rabbit").url if transport == "rabbitmq" else None


@pytest.fixture
def namespace() -> str:
    """The test's own."""
    return fresh_namespace()


@pytest.fixture
def ran() -> Ran:
    """What the handlers did."""
    return Ran()


@pytest.fixture
def foreign(transport: str, database: str, url: SecretStr | None) -> Foreign:
    """A program beside Tasker."""
    return Foreign(transport, database, url)


@pytest.fixture
async def begin(
    database: str, transport: str, url: SecretStr | None, namespace: str, ran: Ran, tmp_path: Path
) -> AsyncIterator[Begin]:
    """Starts Taskers with the template `chain` and its handlers."""
    file = tmp_path / "chain.yaml"
    file.write_text(chain(namespace))
    started: list[Tasker] = []

    async def start(*, worker: bool = True, poll_s: float = 0.05, only: str = "", **options: Any) -> Tasker:
        name = options.pop("transport", transport)
        made = Tasker(
            database,
            templates=() if only else file,
            handlers=ran.handlers(only) if worker else (),
            settings=settings(name, options.pop("url", url), poll_s=poll_s, **options),
            worker=worker,
        )
        started.append(made)
        await made.start()
        return made

    yield start
    for one in reversed(started):
        await one.stop(0)
