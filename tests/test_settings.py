"""Settings: where they come from, which counts, and what is said of those that are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import structlog

from tasker.cli.serving.child import configure_logs
from tasker.model.errors import SettingsError
from tasker.settings import Settings, setting_fields
from tasker.settings_file import find_file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the current folder, and no setting in the environment."""
    for name in [name for name in os.environ if name.startswith("TASKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    file = folder / "tasker.toml"
    file.write_text(text)
    return file


def refused() -> str:
    """What is said of settings that are wrong."""
    with pytest.raises(SettingsError) as caught:
        Settings()
    return str(caught.value)


def test_an_argument_counts_more_than_the_environment_and_that_more_than_the_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting is its argument's, else its variable's, else the file's, else the default."""
    write(project, "threads = 3\nconcurrency = 3\npoll_s = 3\n")
    monkeypatch.setenv("TASKER_CONCURRENCY", "2")
    monkeypatch.setenv("TASKER_POLL_S", "2")
    settings = Settings(poll_s=1)
    assert (settings.poll_s, settings.concurrency, settings.threads, settings.cpu_processes) == (1, 2, 3, 2)
    assert settings.model_fields_set == {"poll_s", "concurrency", "threads"}


def test_the_schema_has_one_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema is `schema` in the file and TASKER_SCHEMA in the environment, which counts more."""
    write(project, 'schema = "of_file"\n')
    assert Settings().schema_name == "of_file"
    monkeypatch.setenv("TASKER_SCHEMA", "of_environment")
    assert Settings().schema_name == "of_environment"
    assert Settings(schema_name="of_argument").schema_name == "of_argument"
    write(project, 'schema_name = "other"\n')
    assert 'tasker.toml:1: "schema_name" is no setting; did you mean "schema"?' in refused()


def test_a_table_is_replaced_and_not_mixed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Roles of the environment take the place of the file's: none of those is left."""
    write(project, '[auth_roles]\nclerk = ["tasks:read"]\n')
    assert Settings().auth_roles == {"clerk": ["tasks:read"]}
    monkeypatch.setenv("TASKER_AUTH_ROLES", '{"guard": ["tasks:list"]}')
    assert Settings().auth_roles == {"guard": ["tasks:list"]}


def test_unknown_keys_are_refused_with_the_nearest_name_and_their_line(project: Path) -> None:
    """All unknown keys are told at once, each with file and line, also behind texts of many lines."""
    file = write(
        project,
        '# ours\nenv = """\nlease = 3\n"""\n\n# how long\nlease = 15\n[server_hots]\nname = "x"\n[zzz]\n',
    )
    message = refused()
    assert f'{file}:7: "lease" is no setting; did you mean "lease_s"?' in message
    assert f'{file}:8: "server_hots" is no setting; did you mean "server_host"?' in message
    assert f'{file}:10: "zzz" is no setting; `tasker config show` lists all of them' in message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lease_s = 0", "lease_s: Input should be greater than 0"),
        ("lease_s = inf", "lease_s: "),
        ('lease_s = "15"', "lease_s: Input should be a valid number"),
        ("threads = true", "threads: Input should be a valid integer"),
        ("threads = 1.0", "threads: Input should be a valid integer"),
        ("config_endpoint = 1", "config_endpoint: Input should be a valid boolean"),
        ('log_level = "loud"', "log_level: Input should be 'debug', 'info', 'warning' or 'error'"),
        ("env = 2030-01-31", "env: "),
        ("auth_jwt_required_claims = ['a', 1]", "auth_jwt_required_claims[1]: Input should be a valid string"),
        ("auth_roles = {clerk = 'x'}", "auth_roles.clerk: Input should be a valid array"),
        ("lease_s 3", "is no TOML: Expected '=' after a key in a key/value pair (at line 2, column 9)"),
    ],
)
def test_a_wrong_value_names_file_line_and_key(project: Path, line: str, said: str) -> None:
    """A value that is out of bounds or of another kind is refused with its place; TOML's kinds are meant."""
    file = write(project, f"\n{line}\n")
    message = refused()
    assert said in message
    assert str(file) in message
    assert f"{file}:2: " in message or "at line 2" in message


def test_a_wrong_variable_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong in the environment is told by the variable, also where it is no JSON."""
    monkeypatch.setenv("TASKER_LEASE_S", "soon")
    monkeypatch.setenv("TASKER_THREADS", "0")
    message = refused()
    assert "TASKER_LEASE_S: " in message
    assert "TASKER_THREADS: " in message
    monkeypatch.setenv("TASKER_AUTH_ROLES", "clerk")
    assert refused().startswith("TASKER_AUTH_ROLES: is not the JSON")
    monkeypatch.delenv("TASKER_AUTH_ROLES")
    monkeypatch.delenv("TASKER_LEASE_S")
    monkeypatch.delenv("TASKER_THREADS")
    with pytest.raises(SettingsError, match=r"^no_such: "):
        Settings(no_such=1)


def test_no_secret_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is wrong, in the file or the environment, is in no message, nor in what led to it."""
    secret = "canary-7f3"
    write(project, f'auth_api_key_secret = "{secret}"\n')
    for _ in range(2):
        with pytest.raises(SettingsError) as caught:
            Settings()
        assert "auth_api_key_secret" in str(caught.value).lower()
        error: BaseException | None = caught.value
        while error is not None:
            assert secret not in str(error)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        monkeypatch.setenv("TASKER_AUTH_API_KEY_SECRET", secret)
        write(project, "")


def test_the_file_of_the_project_is_read_from_below(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest folder upwards that is a project's is looked at, and no folder above it."""
    file = write(project, "threads = 3\n")
    inner = project / "config" / "tasks"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert find_file() == file
    (project / "config" / "pyproject.toml").touch()
    assert find_file() is None


def test_a_named_file_is_read_instead(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TASKER_CONFIG names the one file that is read; where it is not there, that is told."""
    write(project, "threads = 3\n")
    other = project / "other.toml"
    other.write_text("threads = 4\n")
    monkeypatch.setenv("TASKER_CONFIG", str(other))
    assert Settings().threads == 4
    monkeypatch.setenv("TASKER_CONFIG", os.devnull)
    assert Settings().threads == 8
    monkeypatch.setenv("TASKER_CONFIG", "nowhere.toml")
    assert "TASKER_CONFIG names nowhere.toml" in refused()


def test_a_file_that_everybody_may_write_is_refused(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file found in a folder above may be anybody's: it counts only if it is named."""
    file = write(project, 'server_auth = "off"\n')
    file.chmod(0o666)
    assert f"{file} is somebody else's, or everybody may write to it" in refused()
    monkeypatch.setenv("TASKER_CONFIG", str(file))
    assert Settings().server_auth == "off"


def test_a_changed_file_is_read_again(project: Path) -> None:
    """What was read before does not hide what stands there now."""
    write(project, "threads = 3\n")
    assert Settings().threads == 3
    write(project, "threads = 44\n")
    assert Settings().threads == 44


def test_files_that_settings_name_lie_beside_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path in the file is meant from its folder, wherever the process runs."""
    write(project, 'server_grpc_tls_key = "key.pem"\nauth_jwt_key_files = ["a.pem", "/etc/b.pem"]\n')
    (project / "inner").mkdir()
    monkeypatch.chdir(project / "inner")
    settings = Settings()
    assert settings.server_grpc_tls_key == project / "key.pem"
    assert settings.auth_jwt_key_files == [project / "a.pem", Path("/etc/b.pem")]


def test_every_setting_can_stand_in_the_file(project: Path) -> None:
    """Each setting's default, written as TOML, is taken by its key."""
    for key, name in setting_fields().items():
        default = Settings.model_fields[name].default
        if default is None or isinstance(default, dict):
            continue
        write(project, f"{key} = {str(default).lower() if isinstance(default, bool) else repr(default)}\n")
        assert Settings().model_fields_set == {name}


@pytest.mark.parametrize(("said", "is_json"), [("auto", True), ("json", True), ("text", False)])
def test_logs_are_written_as_the_setting_says(
    said: str, is_json: bool, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Away from a terminal a line is JSON, unless log_format is text; what is below log_level is left out."""
    before = structlog.get_config()
    try:
        configure_logs(Settings(log_format=said, log_level="warning"))
        structlog.get_logger("test").info("quiet")
        structlog.get_logger("test").warning("loud", task="t1")
    finally:
        structlog.configure(**before)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("{") == is_json
    assert "loud" in line
    assert "\x1b" not in line
