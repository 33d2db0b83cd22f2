"""Where the server is and who asks: arguments, environment, the user's file; and that no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasker.client import Profile, find_profile
from tasker.client.profiles import profiles_file
from tasker.model.errors import SettingsError

FILE = """
[default]
url = "http://127.0.0.1:8080"

[production]
url = "https://tasker.example/api"
api_key_file = "KEY"
timeout_s = 5

[token]
url = "https://tasker.example"
token = "a.b.c"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The user's file of profiles."""
    (tmp_path / "key").write_text("tsk_filed\n")
    file = profiles_file()
    file.parent.mkdir(parents=True)
    file.write_text(FILE.replace("KEY", str(tmp_path / "key")))
    return file


@pytest.mark.usefixtures("file")
def test_the_nearest_place_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments, then the environment's address, then its profile, then the default one."""
    assert find_profile().url == "http://127.0.0.1:8080"
    monkeypatch.setenv("TASKER_PROFILE", "token")
    assert find_profile().token == "a.b.c"
    monkeypatch.delenv("TASKER_PROFILE")
    monkeypatch.setenv("TASKER_URL", "http://there")
    assert find_profile().url == "http://there"
    found = find_profile(profile="production")
    assert (found.url, found.api_key, found.timeout_s) == ("https://tasker.example/api", "tsk_filed", 5)
    assert find_profile("http://here").url == "http://here"


@pytest.mark.usefixtures("file")
def test_a_key_belongs_to_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile's key goes to the profile's address alone; the environment's to any server without one of its own."""
    monkeypatch.setenv("TASKER_API_KEY", "tsk_environment")
    assert find_profile(profile="production").api_key == "tsk_filed"
    assert find_profile("http://here").api_key == "tsk_environment"
    assert find_profile("http://here", token="x.y.z").headers() == {"authorization": "Bearer x.y.z"}
    monkeypatch.delenv("TASKER_API_KEY")
    monkeypatch.setenv("TASKER_PROFILE", "production")
    assert find_profile("http://here").api_key is None


def test_no_secret_is_shown() -> None:
    """Neither a profile's text nor a refused address shows what is secret."""
    shown = repr(Profile(url="http://here", api_key="tsk_canary")) + repr(Profile(url="http://here", token="canary"))
    assert "canary" not in shown
    with pytest.raises(SettingsError) as refused:
        Profile(url="http://ann:canary@here")
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[default]\nurl = 'http://here'\napi_ky = 'x'", 'did you mean "api_key"'),
        ("[default]\napi_key = 'x'", "has no url"),
        ("[default]\nurl = 'here'", "no address"),
        ("[default]\nurl = 'ftp://here'", "no address"),
        ("[default]\nurl = 7", "url is no text"),
        ("[default]\nurl = 'http://here'\ntimeout_s = true", "timeout_s is no number"),
        ("[default]\nurl = 'http://here'\ntimeout_s = -1", "above 0"),
        ("[default]\nurl = 'http://here'\napi_key = 'x'\ntoken = 'y'", "keep one"),
        ("[default]\nurl = 'http://here'\ntoken_file = '/no/such/file'", "cannot be read"),
        ("[defalt]\nurl = 'http://here'", 'did you mean "defalt"'),
        ("not toml", "cannot be read"),
    ],
)
def test_a_wrong_file_is_told(text: str, says: str) -> None:
    """Each mistake is named with its file and what to do."""
    file = profiles_file()
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(SettingsError, match=says):
        find_profile()


def test_two_servers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What names two servers or two proofs is refused, and so is nothing at all."""
    with pytest.raises(SettingsError, match="TASKER_URL"):
        find_profile()
    with pytest.raises(SettingsError, match="not both"):
        find_profile("http://here", profile="x")
    with pytest.raises(SettingsError, match="not both"):
        find_profile("http://here", api_key="a", token="b")
    monkeypatch.setenv("TASKER_API_KEY", "a")
    monkeypatch.setenv("TASKER_AUTH_TOKEN", "b")
    with pytest.raises(SettingsError, match="both set"):
        find_profile("http://here")
    monkeypatch.setenv("TASKER_URL", "http://here")
    monkeypatch.setenv("TASKER_PROFILE", "x")
    with pytest.raises(SettingsError, match="both set"):
        find_profile()
