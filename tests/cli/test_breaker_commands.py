"""Breakers at the command line."""

from __future__ import annotations

from uuid import uuid4

from cli_shell import Shell
from support import breakers
from support.engine import Engine


async def _down(engine: Engine) -> None:
    """A gateway that has failed five times, with three steps behind its breaker."""
    await breakers.publish(engine)
    await breakers.go_down(engine, await engine.session())
    await engine.submit_many(3)


def test_breakers_are_listed_and_shown(shell: Shell) -> None:
    """The list says which systems are down and what waits; one is shown with its limits and history."""
    assert "no breakers" in shell.run("breaker", "list").out
    shell.drive(_down)
    (listed,) = shell.ok("breaker", "list")["breakers"]
    assert (listed["name"], listed["state"], listed["waiting"], listed["failures"]) == ("gateway", "open", 3, 5)
    shown = shell.ok("breaker", "show", "gateway")
    assert shown["breaker"]["handlers"] == ["a"]
    assert [(move["from_state"], move["to_state"], move["actor"]) for move in shown["history"]] == [
        ("closed", "open", None)
    ]
    printed = shell.run("breaker", "show", "gateway").out
    assert 'breaker "gateway" is open until' in printed
    assert "3 steps are ready behind it" in printed
    assert "gateway" in shell.run("breaker", "list").out


def test_a_breaker_is_opened_and_reset_by_hand(shell: Shell) -> None:
    """Who, and why, is in its history; the same act again does nothing again."""
    shell.drive(breakers.publish)
    act_id = uuid4()
    said = ("--reason", "maintenance", "--actor", "ada", "--act-id", act_id)
    shell.ok("breaker", "open", "gateway", "--for", 600, *said)
    opened = shell.ok("breaker", "open", "gateway", "--for", 600, *said)
    assert 590 < opened["breaker"]["for_s"] <= 600
    assert "open until somebody resets it" in shell.run("breaker", "open", "gateway").out
    assert shell.ok("breaker", "reset", "gateway")["breaker"]["state"] == "closed"
    history = shell.ok("breaker", "show", "gateway")["history"]
    assert [(move["to_state"], move["reason"]) for move in history] == [
        ("closed", None),
        ("open", None),
        ("open", "maintenance"),
    ]
    assert history[2]["actor"] == "ada"


def test_limits_are_set_for_the_whole_fleet(shell: Shell) -> None:
    """What is not named stays as it is."""
    shell.drive(breakers.publish)
    found = shell.ok("breaker", "set", "gateway", "--failure-threshold", 3, "--reset-s", 10)["breaker"]
    assert (found["failure_threshold"], found["reset_s"], found["probes"]) == (3, 10, 1)


def test_what_cannot_be_is_refused(shell: Shell) -> None:
    """Each mistake has its exit code, and changes nothing."""
    shell.drive(breakers.publish)
    before = shell.content()
    assert shell.run("breaker", "open", "gatway").code == 3
    assert shell.run("breaker", "show", "gatway").code == 3
    assert shell.run("breaker", "set", "gateway", "--probes", 0).code == 6
    assert shell.run("breaker", "set", "gateway").code == 2
    assert shell.run("breaker", "open", "gateway", "--for", -5).code == 6
    assert shell.content() == before
