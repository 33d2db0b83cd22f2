"""Which commands go to a server, and which are of this machine or of the database alone: every one is on a list."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints
from uuid import uuid4

import pytest
from cli_shell import TEMPLATE, Shell
from support.serving import served

from tasker import Tasker
from tasker.cli.commands import COMMANDS
from tasker.cli.common import Where
from tasker.server.auth import Authenticator
from tasker.server.auth.wiring import authenticator
from tasker.settings import Settings
from tasker.store.connection import connect
from tasker.store.refusals import Counted, Refusal, note_refusals

NOT_OVER_A_NETWORK = {
    *("demo", "dev", "server", "bench"),  # they start PostgreSQL, or a server, or measure this machine
    "worker",  # has a --url of its own: it works through a server
    *("template validate", "auth token keys", "auth token create"),  # files alone
    *("db migrate", "db status", "db doctor", "db prune", "db stop"),  # the database itself, by who owns it
    *("config show", "config explain", "config validate", "auth permissions"),  # the settings of this process
}
"""docs/cli.md says so of each."""
NOBODY, KEY = str(uuid4()), "aaaaaaaaaaaa"
ANSWERED: dict[str, tuple[int, tuple[str, ...]]] = {
    "task submit": (0, ("shop/order", "--context", '{"item": "cup"}')),
    "task list": (0, ()),
    **{
        f"task {word}": (3, (NOBODY,))
        for word in (
            *("get", "steps", "history", "summary", "batches", "why", "analyze", "watch", "lineage"),
            *("cancel", "pause", "resume"),
        )
    },
    "task wait": (3, (NOBODY, "--timeout", "1")),
    "task rerun": (3, (NOBODY, "--from", "price")),
    **{f"step {word}": (3, (NOBODY, "price")) for word in ("retry", "resolve")},
    "step complete": (3, (NOBODY, "price", "--result", "{}")),
    "template publish": (0, ("{file}",)),
    "template list": (0, ()),
    "template show": (0, ("shop/order",)),
    "template graph": (0, ("shop/order",)),
    "template diff": (0, ("shop/order@1.0.0", "1.0.0")),
    "handler list": (0, ()),
    "worker list": (0, ()),
    **{f"worker {word}": (3, (NOBODY,)) for word in ("pause", "drain", "resume")},
    "queue list": (0, ()),
    "queue pauses": (0, ()),
    "queue pause": (0, ("shop",)),
    "queue resume": (0, ("shop",)),
    "handler namespaces": (0, ()),
    "bulk run": (0, ("pause", "--namespace", "shop")),
    "bulk list": (0, ()),
    **{f"bulk {word}": (3, (NOBODY,)) for word in ("get", "resume", "stop")},
    **{f"dlq {word}": (0, ()) for word in ("list", "queue", "stats", "stale")},
    **{f"dlq {word}": (3, (NOBODY,)) for word in ("get", "add", "requeue")},
    "dlq update": (3, (NOBODY, "--notes", "looked at")),
    **{f"analytics {word}": (0, ()) for word in ("performance", "durations", "tasks", "throughput", "bottlenecks")},
    "events list": (0, ()),
    "events get": (3, (NOBODY,)),
    "events watch": (2, ("--cursor", "-1")),
    "breaker list": (0, ()),
    **{f"breaker {word}": (3, ("nothing",)) for word in ("show", "open", "reset")},
    "breaker set": (3, ("nothing", "--probes", "2")),
    "auth key create": (0, ("clerk", "--permission", "tasks:list", "--namespace", "shop")),
    "auth key list": (0, ()),
    "auth key rotate": (3, (KEY,)),
    "auth key revoke": (3, (KEY,)),
    "auth refusals": (0, ()),
    "auth check": (0, ()),
}
"""Of each command that goes to a server: how it ends with these words on a server with one template."""


def _takes_a_server(target: str) -> bool:
    module, _, name = target.partition(":")
    return Where in get_type_hints(getattr(import_module(module), name)).values()


def test_every_command_is_on_a_list() -> None:
    """A command takes --url and --profile, or stands on the list of those that cannot."""
    going = {command.words for command in COMMANDS if _takes_a_server(command.target)}
    assert {command.words for command in COMMANDS} - going == NOT_OVER_A_NETWORK
    assert set(ANSWERED) == going
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    assert [words for words in NOT_OVER_A_NETWORK if f"`{words}`" not in page] == []


def _asking(shop: Shell) -> Any:
    tasker = Tasker(shop.dsn, worker=False)
    asks: Authenticator = authenticator(Settings(auth_cache_s=0), tasker.engine().ask)  # type: ignore[call-arg]
    return tasker.asgi(authenticator=asks)


def test_every_command_answers_on_a_server(shop: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of them refuses a server, and none looks for a database when it is given one."""
    file = tmp_path / "again.yaml"
    file.write_text(TEMPLATE)
    monkeypatch.setenv(
        "TASKER_API_KEY", shop.ok("auth", "key", "create", "root", "--role", "admin", "--all-namespaces")["key"]
    )
    monkeypatch.delenv("TASKER_DATABASE_URL")
    monkeypatch.setattr("tasker.cli.database.opened", _no_database)
    wrong: list[str] = []
    with served(lambda: _asking(shop)) as serving:
        for words, (code, more) in ANSWERED.items():
            said = [word.format(file=file) if word == "{file}" else word for word in more]
            ran = shell_run(shop, words, said, serving.url)
            if ran.code != code:
                wrong.append(f"{words}: {ran}")
    assert wrong == []


def shell_run(shop: Shell, words: str, more: list[str], url: str) -> Any:
    """The command, on that server."""
    return shop.run(*words.split(), *more, "--url", url)


def _no_database(*_: Any, **__: Any) -> Any:
    raise AssertionError("it looked for a database")


def test_who_one_is_and_who_was_refused_is_the_same_through_both_doors(
    shop: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`auth check` shows a key, and `auth refusals` the record, alike; a key that a server refuses ends with 1."""
    root = shop.ok("auth", "key", "create", "root", "--role", "admin", "--all-namespaces")["key"]
    clerk = shop.ok("auth", "key", "create", "clerk", "--permission", "tasks:list", "--namespace", "shop")["key"]
    proof = tmp_path / "clerk.key"
    proof.write_text(clerk)
    asyncio.run(_note(shop.dsn))
    with served(lambda: _asking(shop)) as serving:
        there = ("--url", serving.url)
        for more, code in (
            ((), 0),
            (("--permission", "tasks:list", "--namespace", "shop"), 0),
            (("--permission", "tasks:cancel"), 1),
        ):
            here, far = (shop.run("auth", "check", proof, *more, *at) for at in ((), there))
            assert (here.code, here.out) == (far.code, far.out) and far.code == code
        monkeypatch.setenv("TASKER_API_KEY", root)
        for words in (("auth", "refusals"), ("auth", "refusals", "--reason", "forbidden", "--limit", "1")):
            assert shop.ok(*words)["refusals"] == shop.ok(*words, *there)["refusals"] != []
        assert shop.ok("auth", "check", *there)["subject"].startswith("root ")
        proof.write_text(clerk[:-4] + "aaaa")
        for at in ((), there):
            ran = shop.run("auth", "check", proof, *at)
            assert (ran.code, ran.out) == (1, "")


async def _note(dsn: str) -> None:
    about: dict[str, Any] = {"face": "http", "what": "list_dlq", "permission": "dlq:read", "namespace": None}
    told = [
        Refusal(reason="forbidden", who="clerk (k7)", address="192.0.2.1", is_proven=True, **about),
        Refusal(reason="invalid", who="k7", address="192.0.2.9", is_proven=False, **about),
    ]
    connection = await connect(dsn)
    counted = [Counted(refusal=one, times=n, first_age_s=n, last_age_s=n) for n, one in enumerate(told, 1)]
    await note_refusals(connection, counted, kept_max=10, kept_days=1)
    await connection.close()


def test_a_key_that_has_ended_is_rotated_through_neither_door(shop: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, and the command is refused with 4; one that never was, and one that cannot be, is not found: 3."""
    monkeypatch.setenv(
        "TASKER_API_KEY", shop.ok("auth", "key", "create", "root", "--role", "admin", "--all-namespaces")["key"]
    )
    gone = shop.ok("auth", "key", "create", "clerk", "--permission", "tasks:list", "--namespace", "shop")["key_id"]
    shop.ok("auth", "key", "revoke", gone)
    with served(lambda: _asking(shop)) as serving:
        for at in ((), ("--url", serving.url)):
            for key_id, code in ((gone, 4), (KEY, 3), ("nobody", 3)):
                assert shop.run("auth", "key", "rotate", key_id, *at).code == code
            assert shop.run("auth", "key", "revoke", "nobody", *at).code == 3


def test_figures_of_several_namespaces(shop: Shell) -> None:
    """Lists of the queue and figures take several namespaces, states and reasons, through both doors."""
    queue = ("dlq", "list", "--namespace", "shop", "bank", "--status", "pending", "cancelled")
    reasons = ("--reason", "manual_dlq", "staleness_timeout")
    made = shop.ok("task", "submit", "shop/order", "--context", '{"item": "cup"}')["task_uuid"]
    shop.ok("dlq", "add", made)
    with served(lambda: Tasker(shop.dsn, worker=False).asgi()) as serving:
        for at in ((), ("--url", serving.url)):
            assert len(shop.ok(*queue, *reasons, *at)["entries"]) == 1
            assert shop.ok("dlq", "list", "--namespace", "bank", "mill", *at)["entries"] == []
            for what in ("stats", "queue", "stale"):
                assert shop.run("dlq", what, "--namespace", "shop", "bank", *at).code == 0
            assert shop.ok("analytics", "performance", "--namespace", "shop", "bank", *at)["active"] == 1
            assert shop.ok("analytics", "performance", "--namespace", "mill", "bank", *at)["active"] == 0
