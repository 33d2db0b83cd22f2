"""The database at the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from cli_shell import TEMPLATE, Shell


@pytest.fixture
def bare(shell: Shell, empty_database: str, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Commands on a database without Tasker's schema."""
    monkeypatch.setenv("TASKER_DATABASE_URL", empty_database)
    return Shell(empty_database, shell.capture, monkeypatch)


def test_migrate_makes_the_schema_once(bare: Shell) -> None:
    """Migrate makes the schema, and the second time finds nothing to do."""
    first, second = bare.ok("db", "migrate"), bare.ok("db", "migrate")
    assert (first["was_current"], first["is_current"]) == (False, True)
    assert (second["was_current"], second["applied"]) == (True, first["applied"])
    assert "up to date" in bare.run("db", "migrate").out
    assert bare.ok("task", "list")["tasks"] == []


def test_the_printed_sql_is_what_migrate_runs(bare: Shell) -> None:
    """--print-sql changes nothing; what it prints, run by hand, is the migration."""
    script = bare.run("db", "migrate", "--print-sql").out
    assert bare.content() == {}
    with psycopg.connect(bare.dsn) as connection:
        connection.execute(script)
    assert bare.ok("db", "migrate")["was_current"] is True
    assert bare.run("db", "migrate", "--print-sql").out.strip() == ""


def test_status_tells_where_the_schema_stands(bare: Shell) -> None:
    """Status tells the schema's state before and after migrating, and then what lies in the tables."""
    before = bare.ok("db", "status")
    assert (before["schema"]["exists"], before["schema"]["is_current"], before["stats"]) == (False, False, None)
    assert "tasker db migrate" in bare.run("db", "status").out
    bare.ok("db", "migrate")
    after = bare.ok("db", "status")
    assert (after["schema"]["is_current"], after["stats"]["tasks"]) == (True, {})
    assert "up to date" in bare.run("db", "status").out


def test_status_counts_what_lies_in_it(shop: Shell) -> None:
    """Status shows tasks by state and the queues that have work, and never a password."""
    shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')
    assert shop.ok("db", "status")["stats"]["tasks"] == {"pending": 1}
    out = shop.run("db", "status").out
    assert "1 pending" in out
    assert "price" in out


def test_a_schema_that_is_not_taskers_is_told(bare: Shell) -> None:
    """A schema of that name that somebody else made is left alone and told."""
    with psycopg.connect(bare.dsn) as connection:
        connection.execute("create schema tasker_engine")
    assert "TASKER_SCHEMA" in bare.ok("db", "status")["schema"]["problem"]
    assert bare.run("db", "migrate").code == 5


def test_commands_work_in_a_schema_of_another_name(
    bare: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """TASKER_SCHEMA names the schema in which everything happens."""
    monkeypatch.setenv("TASKER_SCHEMA", "works")
    file = tmp_path / "order.yaml"
    file.write_text(TEMPLATE)
    assert bare.ok("db", "migrate")["schema"] == "works"
    bare.ok("template", "publish", file)
    task = bare.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')["task_uuid"]
    for words in ("get", "steps", "summary", "history", "pause"):
        bare.ok("task", words, task)
    assert [listed["task_uuid"] for listed in bare.ok("task", "list", "--tag", "x", "--name", "order")["tasks"]] == []
    assert [listed["task_uuid"] for listed in bare.ok("task", "list", "--namespace", "shop")["tasks"]] == [task]
    checks = {check["name"]: check["is_ok"] for check in bare.run("db", "doctor", "--json").json["checks"]}
    assert checks["counters and states of tasks"]
    assert bare.content() == {}


def test_the_doctor_says_that_all_is_well_or_not(shop: Shell) -> None:
    """The doctor ends with 1 where a check fails, and names it; with --repair it mends what it can."""
    shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')
    with psycopg.connect(shop.dsn) as connection:
        connection.execute("delete from tasker_engine.ready")
    ran = shop.run("db", "doctor", "--json")
    wrong = {check["name"] for check in ran.json["checks"] if not check["is_ok"]}
    assert (ran.code, ran.json["is_ok"]) == (1, False)
    assert "ready steps lie in a lane" in wrong
    assert "WRONG" in shop.run("db", "doctor").out
    ran = shop.run("db", "doctor", "--repair", "--json")
    (mended,) = (check for check in ran.json["checks"] if check["name"] == "ready steps lie in a lane")
    assert (mended["is_ok"], mended["repaired"]) == (True, 1)
    with shop.working(handlers=["price", "charge"]):
        task = shop.ok("task", "list")["tasks"][0]["task_uuid"]
        assert shop.ok("task", "wait", task, "--timeout", "30")["status"] == "complete"


def run_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, in a project of its own, without a database given."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("TASKER_DATABASE")}
    command = [sys.executable, "-m", "tasker", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_without_a_database_the_projects_own_is_used(tmp_path: Path) -> None:
    """Without TASKER_DATABASE_URL, status starts nothing; a command that needs the database starts it, and leaves it
    stopped when it was the only one."""
    (tmp_path / "pyproject.toml").touch()
    before = json.loads(run_in(tmp_path, "db", "status", "--json").stdout)
    assert (before["embedded"]["is_running"], before["schema"]) == (False, None)
    assert not (tmp_path / ".tasker").exists()
    ran = run_in(tmp_path, "task", "list", "--json")
    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"tasks": [], "next_cursor": None}), ran.stderr
    after = run_in(tmp_path, "db", "status")
    assert "not running" in after.stdout
    stopped = run_in(tmp_path, "db", "stop", "--json")
    assert (stopped.returncode, json.loads(stopped.stdout)) == (0, {"was_running": False})


def test_prune_counts_first_and_deletes_when_told(shop: Shell) -> None:
    """Without --yes it says how many tasks are meant; with it they go, younger and open ones stay."""

    def submit() -> str:
        return shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')["task_uuid"]

    old, young, open_one = submit(), submit(), submit()
    for task in (old, young):
        shop.ok("task", "cancel", task, "--reason", "not needed")
    with psycopg.connect(shop.dsn) as connection:
        connection.execute(
            "update tasker_engine.tasks set finished_at = finished_at - interval '40 days' where task_id = %s", [old]
        )
    assert shop.ok("db", "prune")["tasks"] == 1
    assert "add --yes" in shop.run("db", "prune").out
    assert {task["task_uuid"] for task in shop.ok("task", "list")["tasks"]} == {old, young, open_one}
    assert shop.ok("db", "prune", "--older-than", "30d", "--yes")["tasks"] == 1
    assert {task["task_uuid"] for task in shop.ok("task", "list")["tasks"]} == {young, open_one}
    assert "1 tasks" in shop.run("db", "prune", "--older-than", "0s", "--yes").out
    assert [task["task_uuid"] for task in shop.ok("task", "list")["tasks"]] == [open_one]
    assert "--older-than" in shop.run("db", "prune", "--older-than", "soon").err
