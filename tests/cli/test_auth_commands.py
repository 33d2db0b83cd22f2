"""`tasker auth`: keys, tokens, and the check of both."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest
from cli_shell import Shell

from tasker.server.auth.keys import parse_key
from tasker.store.connection import connect
from tasker.store.refusals import Counted, Refusal, note_refusals

ISSUER = ("--issuer", "https://issuer.example", "--audience", "tasker")


@pytest.fixture
def signing(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private key, whose public half the settings name."""
    made = shell.ok("auth", "token", "keys", "--out", tmp_path / "keys")
    monkeypatch.setenv("TASKER_AUTH_JWT_KEY_FILES", f'["{made["public_key"]}"]')
    monkeypatch.setenv("TASKER_AUTH_JWT_ISSUER", "https://issuer.example")
    monkeypatch.setenv("TASKER_AUTH_JWT_AUDIENCE", "tasker")
    return Path(made["private_key"])


def created(shell: Shell, *words: object) -> dict[str, Any]:
    return shell.ok("auth", "key", "create", "shop", *words)


def checked(shell: Shell, text: str, *words: object) -> dict[str, Any]:
    return shell.ok("auth", "check", "-", *words, stdin=text + "\n")


def test_a_key_is_made_and_checked(shell: Shell) -> None:
    """What create prints is a key, which may what it was given and nothing else."""
    made = created(shell, "--permission", "tasks:create", "steps:*", "--namespace", "shop", "store", "--expires", "90d")
    shown = checked(shell, made["key"])
    assert shown == {
        "subject": f"shop ({made['key_id']})",
        "kind": "api_key",
        "permissions": ["steps:*", "tasks:create"],
        "namespaces": ["shop", "store"],
    }
    assert checked(shell, made["key"], "--permission", "steps:read", "--namespace", "shop")["may"] is True
    for words in (
        ["--permission", "dlq:read"],
        ["--namespace", "bank"],
        ["--permission", "steps:read", "--namespace", "b"],
    ):
        ran = shell.run("auth", "check", "-", *words, stdin=made["key"])
        assert (ran.code, ran.out.splitlines()[-1].endswith(": no")) == (1, True)


def test_a_key_goes_to_stdout_alone(shell: Shell) -> None:
    """A script catches the key and nothing else; what is said about it goes to stderr, and does not repeat it."""
    ran = shell.run("auth", "key", "create", "shop", "--role", "viewer", "--all-namespaces")
    key = parse_key(ran.out.strip())
    assert ran.out == f"{key.text}\n"
    assert "not shown again" in ran.err
    assert key.secret not in ran.err


def test_keys_are_listed_without_their_secrets(shell: Shell) -> None:
    """Lists say who made a key, what it may, and how it stands; no list has a secret in it."""
    live = created(shell, "--role", "viewer", "--all-namespaces", "--expires", "never")
    gone = created(shell, "--permission", "tasks:read", "--namespace", "shop")
    shell.ok("auth", "key", "revoke", gone["key_id"])
    listed = shell.ok("auth", "key", "list")["keys"]
    assert [key["key_id"] for key in listed] == [live["key_id"]]
    assert (listed[0]["state"], listed[0]["expires_at"], listed[0]["namespaces"]) == ("live", None, None)
    every = {key["key_id"]: key for key in shell.ok("auth", "key", "list", "--all")["keys"]}
    assert every[gone["key_id"]]["state"] == "revoked"
    for words in (["--all"], ["--all", "--json"]):
        printed = shell.run("auth", "key", "list", *words).out
        assert live["key_id"] in printed
        assert parse_key(live["key"]).secret not in printed
    assert shell.run("auth", "check", "-", stdin=gone["key"]).code == 1


def test_a_key_is_rotated(shell: Shell) -> None:
    """Both keys work during the grace; the older one is listed as ending."""
    old = created(shell, "--role", "viewer", "--namespace", "shop")
    new = shell.ok("auth", "key", "rotate", old["key_id"], "--grace", "1h")
    assert checked(shell, old["key"])["permissions"] == checked(shell, new["key"])["permissions"]
    states = {key["key_id"]: key["state"] for key in shell.ok("auth", "key", "list")["keys"]}
    assert states == {old["key_id"]: "ending", new["key_id"]: "live"}
    shell.ok("auth", "key", "revoke", old["key_id"])
    assert shell.run("auth", "check", "-", stdin=old["key"]).code == 1
    for words, code, word in (
        (["rotate", old["key_id"]], 4, "action_forbidden"),
        (["rotate", "nobody"], 3, "api_key_not_found"),
        (["revoke", "nobody"], 3, "api_key_not_found"),
    ):
        ran = shell.run("auth", "key", *words, "--json")
        assert (ran.code, ran.error["code"]) == (code, word)


def test_keys_of_another_secret_are_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the server's secret has changed the list says which keys open nothing here any more."""
    made = created(shell, "--role", "viewer", "--all-namespaces")
    monkeypatch.setenv("TASKER_AUTH_API_KEY_SECRET", "a secret that came later than the key")
    assert "other secret" in shell.run("auth", "key", "list").out
    assert shell.ok("auth", "key", "list")["keys"][0]["opens_here"] is False
    assert shell.run("auth", "check", "-", stdin=made["key"]).code == 1
    newer = created(shell, "--role", "viewer", "--all-namespaces")
    assert checked(shell, newer["key"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--role", "viewer"], "--all-namespaces"),
        (["--role", "viewer", "--namespace", "a", "--all-namespaces"], "--all-namespaces"),
        (["--namespace", "a"], "opens nothing"),
        (["--permission", "task:read", "--namespace", "a"], "did you mean tasks:read"),
        (["--permission", "*", "--namespace", "a"], "tasks:*"),
        (["--role", "viewr", "--namespace", "a"], "did you mean viewer"),
        (["--role", "viewer", "--namespace", "a", "--expires", "soon"], "no duration"),
        (["--role", "viewer", "--namespace", "a", "--expires", "0s"], "ended already"),
        (["--role", "viewer", "--namespace", "a", "--expires", "9999999999d"], "say never"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(shell: Shell, words: list[str], said: str) -> None:
    """The message says what to write instead, and no key is made."""
    ran = shell.run("auth", "key", "create", "shop", *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert shell.ok("auth", "key", "list", "--all")["keys"] == []


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_pair_of_keys_signs_and_checks_tokens(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    """The private key is for its owner's eyes; a token that it signs is taken by servers that have the public one."""
    made = shell.ok("auth", "token", "keys", "--out", tmp_path / "keys", "--algorithm", algorithm)
    assert stat.S_IMODE(Path(made["private_key"]).stat().st_mode) == 0o600
    monkeypatch.setenv("TASKER_AUTH_JWT_KEY_FILES", f'["{made["public_key"]}"]')
    monkeypatch.setenv("TASKER_AUTH_JWT_ISSUER", ISSUER[1])
    monkeypatch.setenv("TASKER_AUTH_JWT_AUDIENCE", ISSUER[3])
    words = (
        "--private-key",
        made["private_key"],
        "--subject",
        "ann",
        "--permission",
        "tasks:read",
        "--namespace",
        "shop",
    )
    token = shell.run("auth", "token", "create", *words).out
    assert checked(shell, token.strip()) == {
        "subject": "ann",
        "kind": "jwt",
        "permissions": ["tasks:read"],
        "namespaces": ["shop"],
    }
    assert shell.run("auth", "token", "keys", "--out", tmp_path / "keys").code == 2


def test_tokens_are_for_one_issuer_and_audience(shell: Shell, signing: Path) -> None:
    """A token for somebody else is no proof here, and one that makes no sense is not signed."""
    words = ("auth", "token", "create", "--private-key", signing, "--subject", "ann", "--role", "viewer")
    token = shell.run(*words, "--audience", "another").out
    ran = shell.run("auth", "check", "-", stdin=token)
    assert (ran.code, ran.out) == (1, "")
    assert "another audience" in ran.err
    for more, said in (
        (["--permission", "tasks:raed"], "did you mean"),
        (["--role", "boss"], "no role"),
        (["--expires", "x"], "no duration"),
    ):
        ran = shell.run(*words, *more)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err


def test_only_a_private_key_signs(shell: Shell, signing: Path, tmp_path: Path) -> None:
    """A public key, a file that is none, and a file that is not there are told apart."""
    (tmp_path / "none.pem").write_text("nothing")
    public = signing.parent / "public.pem"
    for file, said in ((public, "public key"), (tmp_path / "none.pem", "no PEM"), (tmp_path / "x.pem", "No such file")):
        ran = shell.run("auth", "token", "create", "--private-key", file, "--subject", "ann")
        assert ran.code == 2
        assert said in ran.err


def test_a_proof_is_no_argument(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key comes from a file, stdin or the environment; as an argument it is refused and not repeated."""
    made = created(shell, "--role", "viewer", "--all-namespaces")
    (tmp_path / "key.txt").write_text(made["key"])
    assert shell.ok("auth", "check", tmp_path / "key.txt")["kind"] == "api_key"
    monkeypatch.setenv("TASKER_API_KEY", made["key"])
    assert shell.ok("auth", "check")["kind"] == "api_key"
    monkeypatch.delenv("TASKER_API_KEY")
    assert shell.run("auth", "check").code == 2
    ran = shell.run("auth", "check", made["key"])
    assert ran.code == 2
    assert made["key"] not in ran.err


def test_permissions_and_roles_are_listed(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """All permissions with the operations that need them, and the roles, those of the settings among them."""
    monkeypatch.setenv("TASKER_AUTH_ROLES", '{"clerk": ["tasks:*"]}')
    listed = shell.ok("auth", "permissions")
    assert "create_task" in listed["permissions"]["tasks:create"]
    assert listed["roles"]["clerk"] == ["tasks:*"]
    assert "submitter" in shell.run("auth", "permissions").out


def test_who_made_and_ended_a_key_is_recorded(shell: Shell) -> None:
    """The rows say which login did it."""
    made = created(shell, "--role", "viewer", "--all-namespaces")
    shell.ok("auth", "key", "revoke", made["key_id"])

    async def row(engine: Any) -> Any:
        return await engine.rows("select created_by, revoked_by from tasker_engine.api_keys")

    found = shell.drive(row)[0]
    assert found["created_by"] == found["revoked_by"] != ""


def test_refused_calls_are_listed(shell: Shell) -> None:
    """What servers have refused is shown with how often, newest first; --who and --reason narrow it, and a key that was
    named and not proven is marked."""
    about: dict[str, Any] = {"face": "http", "what": "list_dlq", "permission": "dlq:read", "namespace": None}
    told = [
        Refusal(reason="forbidden", who="clerk (k7)", address="192.0.2.1", is_proven=True, **about),
        Refusal(reason="invalid", who="k7", address="192.0.2.9", is_proven=False, **about),
    ]

    async def note() -> None:
        connection = await connect(shell.dsn)
        counted = [Counted(refusal=one, times=n, first_age_s=n, last_age_s=n) for n, one in enumerate(told, 1)]
        await note_refusals(connection, counted, kept_max=10, kept_days=1)
        await connection.close()

    asyncio.run(note())
    found = shell.ok("auth", "refusals")["refusals"]
    assert [(one["reason"], one["who"], one["times"]) for one in found] == [
        ("forbidden", "clerk (k7)", 1),
        ("invalid", "k7", 2),
    ]
    assert [one["address"] for one in shell.ok("auth", "refusals", "--reason", "invalid")["refusals"]] == ["192.0.2.9"]
    assert len(shell.ok("auth", "refusals", "--who", "clerk")["refusals"]) == 1
    assert "k7?" in shell.run("auth", "refusals").out
    assert shell.run("auth", "refusals", "--limit", "0").code == 2
    assert "no call was refused" in shell.run("auth", "refusals", "--who", "nobody").out
