"""docs/worker-protocol.md says what is true: its examples are sent, and answered as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from tasker import Tasker
from tasker.operations.worker_words import StepOutcome
from tasker.server.rest.routes import ROUTES
from tasker.templates import load_text

PAGE = (Path(__file__).parents[2] / "docs" / "worker-protocol.md").read_text()
EXAMPLES = re.findall(r"^```json POST (\S+)\n(.*?)^```\n\n^```json (\d+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ORDER = """
tasker: 1
namespace_name: shop
name: order
version: 1.0.0
steps:
  - {name: check, handler: check}
  - {name: charge, handler: charge, dependencies: [check]}
"""


def differences(wanted: Any, found: Any, place: str = "$") -> list[str]:
    """Where what was answered is not what the page shows; of an object the page may leave out fields."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        missing = [f"{place}.{key} is missing" for key in wanted.keys() - found.keys()]
        both = wanted.keys() & found.keys()
        return [*missing, *(d for key in both for d in differences(wanted[key], found[key], f"{place}.{key}"))]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [d for n, (one, other) in pairs for d in differences(one, other, f"{place}[{n}]")]
    return [] if wanted == found else [f"{place} is {found!r}, and not {wanted!r}"]


@pytest.fixture
async def shop(client: httpx2.AsyncClient, serving: Tasker) -> str:
    """A task of two steps; its id."""
    await serving.publish(load_text(ORDER).template)
    body = {"name": "order", "namespace": "shop", "context": {"amount": 5}}
    return (await client.post("/v1/tasks", json=body)).json()["task_uuid"]


async def test_the_examples_are_answered_as_the_page_says(client: httpx2.AsyncClient, shop: str) -> None:
    """Each request of the page, sent in its order, has the status and the fields that stand below it."""
    session, wrong = str(uuid4()), []
    for path, body, status, wanted in EXAMPLES:
        sent = [part.replace("{session}", session).replace("{task}", shop) for part in (path, body, wanted)]
        expected = json.loads(sent[2])
        for name in ("lease_s", "beat_s"):  # the test's server has shorter times than the page's
            expected.pop(name, None)
        answer = await client.post(sent[0], json=json.loads(sent[1]))
        if answer.status_code != int(status):
            wrong.append(f"{sent[0]} {sent[1]}: {answer.status_code} {answer.text}")
            continue
        wrong += [f"{sent[0]} {sent[1]}: {one}" for one in differences(expected, answer.json())]
    assert not wrong, "\n".join(wrong)


def test_the_page_shows_every_call_and_kind() -> None:
    """No call of workers and no kind of outcome is left out of the page."""
    calls = {route.path.replace("{session_uuid}", "{session}") for route in ROUTES if route.is_for_workers}
    assert {path for path, *_ in EXAMPLES} == calls
    kinds = StepOutcome.model_json_schema()["properties"]["kind"]["enum"]
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(kinds)


def test_a_page_that_is_wrong_is_seen() -> None:
    """The comparison tells what differs: a value, a field that is not there, a list of another length."""
    assert differences({"a": [1]}, {"a": [1], "b": 2}) == []
    assert len(differences({"a": [1], "c": 1}, {"a": [2]})) == 2
    assert differences([1], []) == ["$ is [], and not [1]"]
