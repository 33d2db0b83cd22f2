"""Files, folders and patterns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from template_texts import HEAD, step

from tasker.model.errors import TemplateError
from tasker.templates import load_file, load_paths


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three templates in a folder and below it, and files that are none."""
    for name in ("b.yaml", "a.yml", "below/c.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(step("", HEAD.replace("order", path.stem)))
    for other in ("notes.txt", ".hidden.yaml", ".git/x.yaml", "d.yaml.bak"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_text("not: [a template")
    return tmp_path


def names(*paths: str | Path) -> list[str]:
    return [each.template.name for each in load_paths(paths)]


def test_a_folder_is_read_with_what_is_below_it(folder: Path) -> None:
    """Only YAML files that are not hidden, sorted; an empty folder holds nothing."""
    assert names(folder) == ["a", "b", "c"]
    (folder / "empty").mkdir()
    assert names(folder / "empty") == []


def test_files_patterns_and_repeats(folder: Path) -> None:
    """The order is that of the paths, and a file is read once however often it is named."""
    assert names(str(folder / "b.yaml"), folder) == ["b", "a", "c"]
    assert names(f"{folder}/*.yaml") == ["b"]
    assert names(f"{folder}/**/*.yaml") == ["b", "c"]
    assert names(f"{folder}/bel*") == ["c"]
    assert names() == []


def test_a_path_with_the_characters_of_a_pattern_is_a_path(tmp_path: Path) -> None:
    """`[1]` may be the name of a folder."""
    odd = tmp_path / "a [1] *"
    odd.mkdir()
    (odd / "x.yaml").write_text(step(""))
    assert names(odd) == ["order"]


def test_the_source_and_the_messages_name_the_file_as_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short paths stay short."""
    monkeypatch.chdir(folder)
    assert load_file("b.yaml").source == "b.yaml"
    assert [each.source for each in load_paths(["below"])] == ["below/c.yaml"]
    Path("b.yaml").write_text("tasker: 2\n")
    with pytest.raises(TemplateError, match=r"b\.yaml:1:9 tasker: expected 1"):
        load_paths(["."])


def test_an_environment_is_applied_to_every_file(folder: Path) -> None:
    """As to a single one."""
    text = step("", top="environments: {test: {steps: [{name: a, timeout_seconds: 5}]}}\n")
    (folder / "b.yaml").write_text(text)
    loaded = load_paths([folder / "b.yaml"], environment="test")
    assert loaded[0].template.step("a").timeout_seconds == 5
    assert load_file(folder / "b.yaml", environment="test") == loaded[0]


def test_problems_of_all_files_are_told_together(folder: Path) -> None:
    """And what is not there is a problem like the others."""
    (folder / "a.yml").write_text("[")
    (folder / "b.yaml").write_text("tasker: 1\n")
    with pytest.raises(TemplateError) as caught:
        load_paths([folder / "nothing", folder / "*.json", folder])
    files = [Path(problem.file).name for problem in caught.value.problems]
    assert files == ["nothing", "*.json", "a.yml", "b.yaml", "b.yaml", "b.yaml", "b.yaml"]
    assert str(caught.value.problems[0]).endswith("nothing: there is no such file or folder")
    assert str(caught.value.problems[1]).endswith("*.json: no file matches this pattern")


def test_one_version_has_one_content(folder: Path) -> None:
    """The same content in two files is one template, other content under the same version a problem."""
    (folder / "b.yaml").write_text((folder / "a.yml").read_text())
    assert names(folder) == ["a", "c"]
    (folder / "b.yaml").write_text((folder / "a.yml").read_text().replace("handler: h", "handler: g"))
    with pytest.raises(TemplateError) as caught:
        load_paths([folder])
    assert "shop/a@1.0.0 stands in" in str(caught.value)
    assert 'steps.a.handler.callable: "h" -> "g"' in str(caught.value)


def test_a_file_that_cannot_be_read_is_a_template_error(tmp_path: Path) -> None:
    """Missing, a folder, a pipe that would never end, too large, not UTF-8: each says what it is."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (1 << 20) + b"##")
    (tmp_path / "latin.yaml").write_bytes("tasker: 1\nname: caf\xe9\n".encode("latin-1"))
    (tmp_path / "utf16.yaml").write_text(step(""), encoding="utf-16")
    expected = {
        "missing.yaml": "missing.yaml: there is no such file",
        ".": ": is not a file",
        "pipe.yaml": "pipe.yaml: is not a file",
        "large.yaml": "large.yaml: is larger than 1048576 bytes",
        "latin.yaml": "latin.yaml:2:10: is not UTF-8: the byte 0xe9 stands here; save the file as UTF-8",
        "utf16.yaml": "utf16.yaml:1:1: is not UTF-8",
        "x" * 300: "cannot be read: File name too long",
    }
    for name, message in expected.items():
        with pytest.raises(TemplateError) as caught:
            load_file(tmp_path / name)
        assert message in str(caught.value)
        assert len(caught.value.problems) == 1


def test_importing_templates_is_cheap() -> None:
    """The parser and the validator are imported when they are needed, not before."""
    code = "import sys, tasker.templates; print({'ruamel.yaml', 'jsonschema', 'pydantic'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "set()\n"
