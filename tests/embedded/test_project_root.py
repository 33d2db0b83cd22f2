"""Which folder is the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasker.embedded import project_root


@pytest.mark.parametrize("mark", [".tasker", "pyproject.toml", ".git"])
def test_the_nearest_marked_folder_upwards_is_the_project(tmp_path: Path, mark: str) -> None:
    """Each of the three marks makes a project of its folder, and the nearest one wins."""
    inner = tmp_path / "outer" / "inner"
    deep = inner / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "outer" / "pyproject.toml").touch()
    (inner / mark).touch()
    assert project_root(deep) == inner
    assert project_root(inner.parent) == tmp_path / "outer"


def test_without_a_mark_it_is_the_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder where nothing else is known."""
    if project_root(tmp_path) != tmp_path:
        pytest.skip("a folder above the tests' own is marked")
    monkeypatch.chdir(tmp_path)
    assert project_root() == tmp_path


def test_a_link_to_a_project_is_the_same_project(tmp_path: Path) -> None:
    """However a project is reached, it has one server."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / ".git").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert project_root(tmp_path / "link") == tmp_path / "real"
