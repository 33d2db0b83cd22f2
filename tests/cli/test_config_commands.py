"""`tasker config show|explain|validate`, and the page of the settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_shell import Ran, Shell

from tasker.cli.config_rows import OTHER_VARIABLES, markdown_table, setting_rows
from tasker.settings import check_file, setting_fields
from tasker.settings_file import read_file

ROOT = Path(__file__).parents[2]
Command = Callable[..., Ran]


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `tasker config …` in an empty project, without a setting in the environment."""
    for name in [name for name in os.environ if name.startswith("TASKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    shell = Shell("", capsys, monkeypatch)
    return lambda *words: shell.run("config", *words)


def test_show_tells_values_and_where_they_come_from(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting is there once, with its value, and the variable, the line of the file or the default it is from."""
    file = tmp_path / "tasker.toml"
    file.write_text("# ours\nthreads = 3\nlease_s = 20\n")
    monkeypatch.setenv("TASKER_LEASE_S", "25")
    shown = command("show", "--json").json
    assert shown["file"] == str(file)
    assert [one["key"] for one in shown["settings"]] == list(setting_fields())
    by_key = {one["key"]: one for one in shown["settings"]}
    assert by_key["threads"] == {
        "key": "threads",
        "variable": "TASKER_THREADS",
        "value": 3,
        "source": f"{file}:2",
    }
    assert (by_key["lease_s"]["value"], by_key["lease_s"]["source"]) == (25, "TASKER_LEASE_S")
    assert (by_key["poll_s"]["value"], by_key["poll_s"]["source"]) == (0.1, "default")
    plain = command("show", "--changed").out
    assert "threads" in plain
    assert "poll_s" not in plain


def test_secrets_are_not_shown(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret and no password of the DSN is printed, in lines or as JSON."""
    monkeypatch.setenv("TASKER_AUTH_API_KEY_SECRET", "canary-" * 6)
    monkeypatch.setenv("TASKER_DATABASE_URL", "postgresql://me:canary@localhost/shop")
    for words in (["show"], ["show", "--json"], ["explain", "database_url"], ["explain", "auth_api_key_secret"]):
        ran = command(*words)
        assert ran.code == 0
        assert "canary" not in ran.out + ran.err
        assert "***" in ran.out


def test_explain_takes_key_and_variable(command: Command) -> None:
    """A setting is explained by its key or its variable; another name is refused with the nearest."""
    told = command("explain", "TASKER_LEASE_S", "--json").json
    assert told == command("explain", "lease_s", "--json").json
    assert (told["default"], told["value"], told["source"], told["kind"]) == ("15", 15, "default", "seconds, above 0")
    wrong = command("explain", "lease", "--json")
    assert wrong.code == 2
    assert wrong.error["message"] == '"lease" is no setting; did you mean "lease_s"?'


def test_explain_helps_while_settings_are_wrong(command: Command, tmp_path: Path) -> None:
    """What a setting may be is told also where the file is wrong, with what is wrong."""
    (tmp_path / "tasker.toml").write_text("threads = 0\n")
    told = command("explain", "threads", "--json").json
    assert told["kind"] == "a whole number, above 0"
    assert "tasker.toml:1: threads: " in told["problem"]
    assert command("show").code == 2


def test_validate_says_what_is_wrong(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that counts, a file that is named, and variables that nearly are settings' are checked."""
    assert command("validate", "--json").json == {"file": None, "settings": 0, "is_valid": True}
    file = tmp_path / "tasker.toml"
    file.write_text("threads = 4\n")
    assert command("validate", "--json").json == {"file": str(file), "settings": 1, "is_valid": True}
    other = tmp_path / "other.toml"
    other.write_text("threads = 4\nlease = 3\n")
    ran = command("validate", other)
    assert (ran.code, ran.out) == (2, "")
    assert f'{other}:2: "lease" is no setting; did you mean "lease_s"?' in ran.err
    monkeypatch.setenv("TASKER_THREDS", "4")
    ran = command("validate")
    assert (ran.code, "TASKER_THREDS is no setting; did you mean TASKER_THREADS?" in ran.err) == (2, True)


def test_variables_of_others_are_left_alone(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that orchestrators set for a service named tasker, and ours that are no settings, are not refused."""
    for name in (*OTHER_VARIABLES - {"TASKER_CONFIG"}, "TASKER_SERVICE_HOST", "TASKER_SERVER_PORT_8080_TCP"):
        monkeypatch.setenv(name, "x")
    assert command("validate").code == 0


def test_every_variable_of_the_code_is_known() -> None:
    """Each variable that the code names is a setting's, or one of the others that are ours."""
    found: dict[str, str] = {}
    for file in [*(ROOT / "src").rglob("*.py")]:
        for name in re.findall(r"""["'](TASKER_[A-Z_]+[A-Z])["']""", file.read_text()):
            found.setdefault(name, str(file.relative_to(ROOT)))
    known = {row.variable for row in setting_rows()} | OTHER_VARIABLES
    assert len(found) > 5
    assert {name: file for name, file in found.items() if name not in known} == {}


def test_the_page_has_the_table_of_the_code() -> None:
    """docs/settings.md lists every setting as it is; `python scripts/settings_page.py` writes it again."""
    _, _, table = (ROOT / "docs" / "settings.md").read_text().partition("## Every setting\n\n")
    assert table == markdown_table()
    assert all(row.meaning.endswith(".") for row in setting_rows())


def test_the_file_of_the_page_is_right(tmp_path: Path) -> None:
    """The file of settings that the page shows is taken as it stands there."""
    (block,) = re.findall(r"^```toml\n(.*?)^```", (ROOT / "docs" / "settings.md").read_text(), re.DOTALL | re.MULTILINE)
    file = tmp_path / "tasker.toml"
    file.write_text(block)
    assert len(check_file(read_file(file))) == 6
