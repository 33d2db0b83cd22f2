"""Domain events at the command line."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from cli_shell import TOLD, Shell, publish_events
from support.engine import Engine

from tasker.templates import load_text


async def _told(engine: Engine) -> None:
    """Two tasks are done; each tells two events, and they are published."""
    await engine.publish(load_text(TOLD).template)
    await engine.submit_many(2)
    session = await engine.session(["pay"])
    await session.succeed(*await session.claim(2))
    await publish_events(engine)


def test_events_are_listed_by_pattern_and_page(shell: Shell) -> None:
    """Newest first, or oldest first; each page leads to the next, and patterns choose by name."""
    assert shell.run("events", "list").out == "no events\n"
    shell.drive(_told)
    listed = shell.ok("events", "list")["events"]
    assert [one["cursor"] for one in listed] == sorted((one["cursor"] for one in listed), reverse=True)
    assert len(listed) == 4
    first = shell.ok("events", "list", "--limit", 3)
    rest = shell.ok("events", "list", "--limit", 3, "--cursor", first["next_cursor"])
    assert first["events"] + rest["events"] == listed
    oldest = shell.ok("events", "list", "--oldest-first")["events"]
    assert oldest == listed[::-1]
    assert {one["name"] for one in shell.ok("events", "list", "order.*")["events"]} == {"order.paid"}
    assert len(shell.ok("events", "list", "order.*", "receipt.*", "--namespace", "shop")["events"]) == 4
    assert shell.ok("events", "list", "--task", oldest[0]["task_uuid"], "receipt.sent")["events"][0]["payload"] == {
        "said": 1
    }
    page = shell.run("events", "list", "--limit", 1).out
    assert "order.paid" in page or "receipt.sent" in page
    assert "more: --cursor" in page


def test_an_event_is_shown(shell: Shell) -> None:
    """With what it says; one that does not exist has its exit code."""
    shell.drive(_told)
    event = shell.ok("events", "list")["events"][0]
    assert shell.ok("events", "get", event["event_id"]) == {"event": event}
    assert 'payload: {"said":1}' in shell.run("events", "get", event["event_id"]).out
    assert shell.run("events", "get", uuid4()).code == 3


def test_events_are_watched(shell: Shell) -> None:
    """From a cursor on, a line each, until so many were seen."""
    shell.drive(_told)
    every = shell.ok("events", "list", "--oldest-first")["events"]
    watched = shell.run("events", "watch", "--cursor", every[0]["cursor"], "--limit", 3).out.splitlines()
    assert len(watched) == 3
    assert all(one["event_id"] and str(one["cursor"]) in line for one, line in zip(every[1:], watched, strict=True))
    assert shell.ok("events", "watch", "order.*", "--cursor", 0, "--limit", 1)["name"] == "order.paid"


@pytest.mark.parametrize(
    "words",
    [
        ("list", "order.%"),
        ("list", "--limit", "0"),
        ("list", "--limit", "1000000"),
        ("list", "--cursor", "-1"),
        ("list", "--cursor", "1" + "0" * 30),
        ("list", "--task", "garbage"),
        ("list", "--status", "lost"),
        ("watch", "--limit", "0"),
        ("watch", "Order"),
        ("get", "garbage"),
    ],
    ids=" ".join,
)
def test_what_is_no_question_is_a_usage_error(shell: Shell, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Each mistake ends with 2, in one line on stderr."""
    ran = shell.run("events", *words)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
