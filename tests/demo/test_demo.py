"""The demo keeps its promises, and says so when it does not."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasker import Tasker, TaskerError, demo
from tasker.demo import figures, shopfront, story
from tasker.demo.crowd import run_plain, run_with_tasker
from tasker.demo.figures import Check, CrowdFigures, DemoFigures, Ending, KillFigures, checks
from tasker.demo.fleet import parent_of
from tasker.demo.screen import rows

CROWD = CrowdFigures(
    checkouts=100,
    completed=98,
    refused=2,
    lost=0,
    charged_without_order=0,
    charged_twice=0,
    passing_faults=15,
    recovered=15,
    permanent_faults=2,
    permanent_ended_with={"PAYMENT_DECLINED": 2},
    seconds=1.0,
)
PLAIN = replace(CROWD, completed=83, lost=15, recovered=0, charged_without_order=7)
GOOD = DemoFigures(
    one=Ending("complete", None, {"process_payment": 2}),
    one_charges=1,
    plain=PLAIN,
    tasker=CROWD,
    killed=KillFigures(crowd=CROWD, pid=1, open_at_kill=50, steps_in_hand=4, steps_taken_over=4),
)


def with_crowd(**changed: Any) -> DemoFigures:
    return replace(GOOD, tasker=replace(CROWD, **changed))


def with_kill(**changed: Any) -> DemoFigures:
    return replace(GOOD, killed=replace(GOOD.killed, **changed))


BAD = {
    "the checkout did not complete": replace(GOOD, one=Ending("error", "TIMEOUT", {"process_payment": 2})),
    "the checkout met no fault": replace(GOOD, one=Ending("complete", None, {"process_payment": 1})),
    "the customer paid twice": replace(GOOD, one_charges=2),
    "the plain function lost nothing": replace(GOOD, plain=replace(PLAIN, lost=0)),
    "there were no faults": replace(GOOD, plain=replace(PLAIN, lost=0, passing_faults=0)),
    "a passing fault in fifteen did not recover": with_crowd(recovered=14),
    "a checkout was lost": with_crowd(lost=1),
    "a checkout too few completed": with_crowd(completed=97),
    "a permanent fault did not end with its code": with_crowd(refused=1),
    "there was no permanent fault": with_crowd(permanent_faults=0, refused=0, completed=100),
    "somebody was charged twice": with_crowd(charged_twice=1),
    "somebody was charged for nothing": with_crowd(charged_without_order=1),
    "no worker was killed": with_kill(open_at_kill=0, steps_in_hand=0, steps_taken_over=0),
    "the worker was killed before the run": with_kill(open_at_kill=100),
    "the killed worker had nothing to do": with_kill(steps_in_hand=0, steps_taken_over=0),
    "a step of the killed worker did not run again": with_kill(steps_taken_over=3),
    "the kill lost a checkout": with_kill(crowd=replace(CROWD, lost=1)),
    "the kill charged somebody twice": with_kill(crowd=replace(CROWD, charged_twice=1)),
}


def unmet(of: DemoFigures) -> list[Check]:
    return [check for check in checks(of) if not check.is_met]


def test_good_figures_pass_every_check():
    """Figures as they must be meet every check, and no two checks have one name."""
    assert unmet(GOOD) == []
    assert len({check.name for check in checks(GOOD)}) == len(checks(GOOD))


@pytest.mark.parametrize("what", BAD)
def test_each_figure_that_is_off_fails_a_check(what):
    """No figure can be wrong unnoticed: each has a check that it fails, alone."""
    assert len(unmet(BAD[what])) == 1


@pytest.mark.parametrize("is_json", [True, False])
def test_an_unmet_check_is_named_and_fails_the_command(monkeypatch, capsys, is_json):
    """A demo that does not keep a promise says which one, and its exit code is 1."""

    async def acts(*_: object) -> tuple[DemoFigures, dict[str, str]]:
        return BAD["somebody was charged twice"], {}

    monkeypatch.setattr(story, "_acts", acts)
    monkeypatch.setenv("TASKER_DATABASE_URL", "postgresql://nobody:secret@localhost/none")

    assert demo.run(json=is_json) == 1

    said = capsys.readouterr().out
    if is_json:
        document = json.loads(said)
        assert document["ok"] is False
        assert [check["name"] for check in document["checks"] if not check["is_met"]] == [
            "with Tasker, nobody is charged twice"
        ]
    else:
        assert "NOT MET: with Tasker, nobody is charged twice (1 customers)" in said
        assert "secret" not in said


def test_the_share_that_must_recover_is_what_counts(monkeypatch):
    """The check of recovery compares with the share that it names."""
    monkeypatch.setattr(figures, "RECOVERED_SHARE_MIN", 1.01)

    assert len(unmet(GOOD)) == 1


def test_a_crowd_without_permanent_faults_is_refused():
    """So few checkouts that none meets a permanent fault would prove nothing."""
    with pytest.raises(TaskerError, match="at least 30 checkouts"):
        demo.run(checkouts=10)


def test_a_missing_example_is_named(monkeypatch, tmp_path):
    """An installation without the example says where it looked and what to do."""
    monkeypatch.setattr(shopfront, "_FOLDERS", (tmp_path,))

    with pytest.raises(TaskerError, match=r"no ecommerce/workflow\.yaml in .*Install tasker-engine again"):
        shopfront.examples_folder()


@pytest.mark.slow
def test_the_demo_keeps_its_promises(database, monkeypatch, capsys):
    """On a real database every check is met, a worker really dies, stdout is one JSON document, and what it says to
    type can be typed."""
    monkeypatch.setenv("TASKER_DATABASE_URL", database)

    code = demo.run(json=True, checkouts=60, killed_checkouts=40)

    document = json.loads(capsys.readouterr().out)
    assert [check for check in document["checks"] if not check["is_met"]] == []
    assert (code, document["ok"]) == (0, True)
    assert document["tasker"]["recovered"] == 9
    assert document["killed"]["steps_in_hand"] > 0
    assert parent_of(document["killed"]["pid"]) is None
    assert any(document["one"]["tries"].values())
    for command in document["look_around"]:
        ran = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stderr) == (0, ""), command
        assert ran.stdout


async def test_the_page_shows_the_figures_of_the_crowd(database, tmp_path):
    """What the example's page says of two hundred checkouts is what they come to, the seconds apart."""
    shopfront.open_examples()
    crowd = shopfront.crowd(1, 200)
    with shopfront.shop(tmp_path / "plain", count=200, latency_s=0) as shop:
        plain = await run_plain(crowd, shop, lambda: None)
    template = shopfront.workflow("demo")
    with shopfront.shop(tmp_path / "tasker", count=200, latency_s=0) as shop:
        async with Tasker(database, templates=[template], handlers=[shopfront.HANDLERS]) as tasker:
            with_tasker, _ = await run_with_tasker(tasker, "demo", crowd, shop, lambda: None)

    page = (shopfront.examples_folder() / "ecommerce" / "README.md").read_text()
    for name, *cells in rows([plain, with_tasker]):
        if name != "seconds":
            assert f"| {name} | {' | '.join(cell.replace(chr(10), ', ') for cell in cells)} |" in page


@pytest.mark.slow
def test_two_demos_at_once_and_one_after_the_other(database, tmp_path):
    """Runs that share a database share nothing else: each sees its own checkouts and its own shop."""
    folder = tmp_path / "a project"
    folder.mkdir()
    for _ in range(2):
        running = [start_demo(database, folder), start_demo(database, folder)]
        for one in running:
            said, _ = one.communicate(timeout=120)
            assert one.returncode == 0, said
            assert "NOT MET" not in said
            assert "process_payment: failed on try 1" in said


def start_demo(database: str, folder: Path) -> subprocess.Popen[str]:
    program = "import sys; from tasker import demo; sys.exit(demo.run(checkouts=30, killed_checkouts=30))"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "TASKER_DATABASE_URL": database, "HOME": "/proc/none"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_process_that_is_not_ours_is_not_a_victim():
    """Who the parent of a process is decides whether it may be killed; one that is gone has none."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    assert parent_of(child.pid) == os.getpid()
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert parent_of(child.pid) is None
