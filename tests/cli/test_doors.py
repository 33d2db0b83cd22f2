"""Which door a command takes: a server or the database."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cli_shell import TEMPLATE, TOLD, Shell, publish_events, until
from support.serving import served

from tasker import Tasker
from tasker.server.auth import Authenticator
from tasker.server.auth.wiring import authenticator
from tasker.settings import Settings

LIST = ("task", "list")


def test_a_server_is_named_by_words_or_the_environment(
    shop: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--url and --profile, then --database-url, then TASKER_URL: each leads to the same tasks."""
    made = shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')["task_uuid"]
    with served(lambda: Tasker(shop.dsn, worker=False).asgi()) as serving:
        file = tmp_path / "config" / "tasker" / "profiles.toml"
        file.parent.mkdir(parents=True)
        file.write_text(f'[shop]\nurl = "{serving.url}"\n')
        monkeypatch.delenv("TASKER_DATABASE_URL")
        for words in (("--url", serving.url), ("--profile", "shop"), ("--database-url", shop.dsn)):
            assert [task["task_uuid"] for task in shop.ok(*LIST, *words)["tasks"]] == [made]
        monkeypatch.setenv("TASKER_PROFILE", "shop")
        assert shop.ok("task", "get", made)["context"]["item"] == "cup"


def test_both_doors_show_the_same(shop: Shell, tmp_path: Path) -> None:
    """Every document of a task is the same from a server as from the database."""
    made = shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')["task_uuid"]
    with shop.working(handlers=["price", "charge"]):
        shop.ok("task", "wait", made)
    with served(lambda: Tasker(shop.dsn, worker=False).asgi()) as serving:
        for command in ("get", "steps", "history", "summary", "why", "wait"):
            here = shop.ok("task", command, made)
            there = shop.ok("task", command, made, "--url", serving.url)
            if command == "history":
                here, there = ({**one, "transitions": _sorted(one["transitions"])} for one in (here, there))
            assert _differences(here, there) == [], command
        file = tmp_path / "newer.yaml"
        file.write_text(TEMPLATE.replace("1.0.0", "1.1.0").replace("max_attempts: 2", "max_attempts: 5"))
        shop.ok("template", "publish", file)
        diff = ("template", "diff", "shop/order@1.0.0", "--json")
        here, there = shop.run(*diff), shop.run(*diff, "--url", serving.url)
        assert (here.code, there.code) == (1, 1)
        assert here.json == there.json
        for words in (("template", "list"), ("template", "show", "shop/order"), LIST):
            assert _differences(shop.ok(*words), shop.ok(*words, "--url", serving.url)) == [], words


OVER = ("--since", f"{datetime.now(UTC) - timedelta(days=3):%Y-%m-%dT%H:%MZ}",
        "--until", f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%MZ}")  # fmt: skip
EVERY = (
    ("breaker", "list"),
    ("breaker", "show", "gateway"),
    ("task", "batches", "{task}"),
    ("task", "lineage", "{task}"),
    ("task", "rerun", "{task}", "--from", "charge", "--dry-run"),
    ("task", "analyze", "{task}"),
    ("bulk", "list"),
    ("bulk", "run", "pause", "--namespace", "shop"),
    ("bulk", "get", "{job}"),
    ("events", "list"),
    ("events", "list", "order.*", "--oldest-first", "--limit", "1"),
    ("events", "list", "nothing.*", "--status", "recorded", "--status", "published"),
    ("events", "watch", "--cursor", "0", "--limit", "1"),
    ("analytics", "performance", *OVER),
    ("analytics", "durations", *OVER, "--by", "handler", "--order", "count"),
    ("analytics", "tasks", *OVER),
    ("analytics", "throughput", *OVER, "--interval", "86400"),
    ("analytics", "bottlenecks", *OVER),
    ("analytics", "performance", "--since", "2020-01-01T00:00Z", "--until", "2020-01-02T00:00Z", "--namespace", "shop"),
    ("dlq", "list"),
    ("dlq", "stats"),
)
"""Commands that look, and how they are called."""


def test_both_doors_show_the_same_of_the_installation(shop: Shell, tmp_path: Path) -> None:
    """Every command about jobs, reruns, batches, breakers, figures and events prints the same from a server as from the
    database: as a document, and as a page for people."""
    file = tmp_path / "told.yaml"
    file.write_text(TOLD)
    shop.ok("template", "publish", file)
    shop.ok("breaker", "open", "gateway", "--reason", "maintenance", "--actor", "ada")
    shop.ok("breaker", "reset", "gateway", "--actor", "ada")
    order = ("task", "submit", "shop/order", "--context", '{"item": "cup"}')
    task = shop.ok(*order)["task_uuid"]
    shop.ok("task", "submit", "shop/told")
    with shop.working(handlers=["price", "charge", "pay"]):
        shop.ok("task", "wait", task)
        until(lambda: shop.ok("events", "list", "--status", "recorded")["events"])
    shop.drive(publish_events)
    shop.ok("task", "rerun", task, "--from", "charge", "--actor", "ada")
    job = shop.run("bulk", "run", "cancel", "--state", "pending", "--yes", "--actor", "ada", "--json").json["job"]
    named = {"task": task, "job": job["job_uuid"]}
    with served(lambda: Tasker(shop.dsn, worker=False).asgi()) as serving:
        for words in EVERY:
            command = [word.format(**named) for word in words]
            here, there = shop.ok(*command), shop.ok(*command, "--url", serving.url)
            assert _differences(here, there) == [], words
            pages = shop.run(*command), shop.run(*command, "--url", serving.url)
            assert (pages[0].code, pages[0].out) == (pages[1].code, pages[1].out), words
        profile = ("--url", serving.url)
        for words, code in (
            (("breaker", "show", "gatway"), 3),
            (("breaker", "set", "gateway", "--probes", "0"), 6),
            (("task", "batches", str(uuid4())), 3),
            (("task", "lineage", str(uuid4())), 3),
            (("bulk", "get", str(uuid4())), 3),
            (("bulk", "run", "cancel", "--yes"), 6),
            (("events", "get", str(uuid4())), 3),
            (("events", "list", "order.%"), 2),
            (("events", "list", "--limit", "1000000"), 2),
            (("events", "watch", "--cursor", "-1"), 2),
        ):
            assert (shop.run(*words).code, shop.run(*words, *profile).code) == (code, code), words


def _differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [line for key in one for line in _differences(one[key], other[key], f"{place}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [
            line
            for at, pair in enumerate(zip(one, other, strict=True))
            for line in _differences(*pair, f"{place}[{at}]")
        ]
    if isinstance(one, float) and isinstance(other, float):
        return [] if abs(one - other) < 1e-6 else [f"{place}: {one} here, {other} there"]
    return [] if one == other else [f"{place}: {one!r} here, {other!r} there"]


def _sorted(moves: list[dict[str, object]]) -> list[dict[str, object]]:
    return sorted(moves, key=lambda move: (move["number"], move["seq"]))


def test_two_places_are_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server and a database, or a server twice, are a usage error; so is a server for what only a database can do."""
    for words in (("--url", "http://here", "--database-url", shell.dsn), ("--url", "http://here", "--profile", "x")):
        ran = shell.run(*LIST, *words)
        assert (ran.code, ran.out) == (2, "")
    monkeypatch.delenv("TASKER_DATABASE_URL")
    monkeypatch.setenv("TASKER_URL", "http://here")
    ran = shell.run("db", "doctor")
    assert ran.code == 2
    assert "--database-url" in ran.err


def test_a_server_that_is_away_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 5, and one line says where it was looked for."""
    monkeypatch.setattr("tasker.client.async_calls.WAIT_MAX_S", 0.01)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        ran = shell.run(*LIST, "--url", url)
    assert (ran.code, ran.out) == (5, "")
    assert ran.err.startswith(f"tasker: {url} does not answer")
    assert len(ran.err.splitlines()) == 1


def test_a_key_opens_a_server(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With TASKER_API_KEY the server lets the command in; without it the refusal is told, and no key is shown."""
    key = shop.ok("auth", "key", "create", "cli", "--role", "admin", "--all-namespaces")["key"]

    def api() -> object:
        tasker = Tasker(shop.dsn, worker=False)
        asks: Authenticator = authenticator(Settings(), tasker.engine().ask)  # type: ignore[call-arg]
        return tasker.asgi(authenticator=asks)

    with served(api) as serving:
        refused = shop.run(*LIST, "--url", serving.url)
        assert (refused.code, refused.out) == (1, "")
        monkeypatch.setenv("TASKER_API_KEY", key)
        assert shop.ok(*LIST, "--url", serving.url) == {"tasks": [], "next_cursor": None}
        monkeypatch.setenv("TASKER_API_KEY", key[:-3] + "abc")
        wrong = shop.run(*LIST, "--url", serving.url)
        assert wrong.code == 1
        assert key[-12:-3] not in wrong.err


def test_keys_are_looked_after_through_a_server(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are made, listed, rotated and ended as on the database, with the same output, and never more."""
    maker = shop.ok("auth", "key", "create", "cli", "--role", "admin", "--all-namespaces")["key"]

    def api() -> object:
        tasker = Tasker(shop.dsn, worker=False)
        asks: Authenticator = authenticator(Settings(auth_cache_s=0), tasker.engine().ask)  # type: ignore[call-arg]
        return tasker.asgi(authenticator=asks)

    with served(api) as serving:
        there = ("--url", serving.url)
        monkeypatch.setenv("TASKER_API_KEY", maker)
        create = (
            "auth",
            "key",
            "create",
            "shop",
            "--permission",
            "tasks:list",
            "auth:keys_manage",
            "--namespace",
            "shop",
        )
        made = {way: shop.ok(*create, *words) for way, words in (("here", ()), ("there", there))}
        assert made["here"].keys() == made["there"].keys()
        assert made["there"]["namespaces"] == ["shop"]
        printed = shop.run(*create, *there)
        assert (printed.out.count("\n"), printed.out[:4], "not shown again" in printed.err) == (1, "tsk_", True)
        for words in (("auth", "key", "list"), ("auth", "key", "list", "--all")):
            assert _differences(_used(shop.ok(*words)), _used(shop.ok(*words, *there))) == [], words
        new = shop.ok("auth", "key", "rotate", made["here"]["key_id"], "--expires", "2h", *there)
        assert new["replaces"] == made["here"]["key_id"]
        assert shop.ok("auth", "key", "revoke", new["key_id"], *there) == {"key_id": new["key_id"], "grace_s": 0}
        assert shop.run("auth", "key", "revoke", "aaaaaaaaaaaa", *there).code == 3
        monkeypatch.setenv("TASKER_API_KEY", made["there"]["key"])
        assert shop.run(*LIST, *there).code == 0
        more = shop.run("auth", "key", "create", "more", "--permission", "tasks:cancel", "--namespace", "shop", *there)
        assert (more.code, more.out) == (1, "")
        monkeypatch.setenv("TASKER_API_KEY", new["key"])
        assert shop.run(*LIST, *there).code == 1


def _used(found: dict[str, Any]) -> dict[str, Any]:
    """Without when a key was used last: each request through the server is one more use."""
    return {"keys": [{**key, "last_used_at": None} for key in found["keys"]]}
