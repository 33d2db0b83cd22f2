"""Templates at the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_shell import TEMPLATE, Shell

from tasker.templates import load_text


def test_validate_names_what_it_read(shell: Shell, tmp_path: Path) -> None:
    """Valid files are named with their template; warnings are shown; the database is not needed."""
    file = tmp_path / "order.yaml"
    file.write_text(TEMPLATE.replace("tasker: 1\n", "") + "colour: red\n")
    words = ("template", "validate", file)
    ran = shell.run(*words)
    assert ran.code == 0
    assert f"{file}: shop/order@1.0.0, 2 steps, is valid" in ran.out
    assert "warning" in ran.out
    (found,) = shell.ok(*words)["templates"]
    assert (found["namespace"], found["name"], found["version"], found["steps"]) == ("shop", "order", "1.0.0", 2)
    assert found["warnings"][0]["path"] == "colour"
    assert shell.content()["templates"] == []


def test_validate_sees_that_handlers_exist(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --handlers, templates whose handlers are all there are valid."""
    (tmp_path / "whole_shop.py").write_text(
        "from tasker import step_handler\n"
        + "".join(f'@step_handler("{name}")\ndef {name}(): return {{}}\n' for name in ("price", "charge"))
    )
    (tmp_path / "order.yaml").write_text(TEMPLATE)
    monkeypatch.chdir(tmp_path)
    assert len(shell.ok("template", "validate", "order.yaml", "--handlers", "whole_shop")["templates"]) == 1


def test_publish_is_repeatable(shell: Shell, tmp_path: Path) -> None:
    """The same content again changes nothing and says so; another version is another template."""
    file = tmp_path / "order.yaml"
    file.write_text(TEMPLATE)
    (first,) = shell.ok("template", "publish", file)["templates"]
    (again,) = shell.ok("template", "publish", file)["templates"]
    assert (first["is_new"], again["is_new"]) == (True, False)
    assert first["template_id"] == again["template_id"]
    assert "was published already" in shell.run("template", "publish", file).out
    file.write_text(TEMPLATE.replace("1.0.0", "1.1.0"))
    assert shell.run("template", "publish", file).out == "shop/order@1.1.0 is published\n"
    listed = shell.ok("template", "list")["templates"]
    assert [template["version"] for template in listed] == ["1.1.0"]
    assert len(shell.ok("template", "list", "--all", "--namespace", "shop")["templates"]) == 2


def test_force_makes_a_new_revision(shop: Shell, tmp_path: Path) -> None:
    """With --force, changed content under the same version becomes its next revision."""
    file = tmp_path / "changed.yaml"
    file.write_text(TEMPLATE.replace("max_attempts: 2", "max_attempts: 5"))
    assert shop.run("template", "publish", file).code == 4
    assert shop.ok("template", "publish", file, "--force")["templates"][0]["is_new"] is True
    assert shop.ok("template", "list")["templates"][0]["revision"] == 2


def test_an_environment_is_applied(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the option, else of the setting, overrides the file's values."""
    file = tmp_path / "order.yaml"
    file.write_text(TEMPLATE + "environments:\n  quick: {steps: [{name: ALL, timeout_seconds: 5}]}\n")
    monkeypatch.setenv("TASKER_ENV", "quick")
    shell.ok("template", "publish", file)
    shown = shell.ok("template", "show", "shop/order")["definition"]
    assert {step["timeout_seconds"] for step in shown["steps"]} == {5}


def test_show_prints_what_can_be_published(shop: Shell) -> None:
    """What show prints is the template, as a file that can be published again."""
    text = shop.run("template", "show", "shop/order@1.0.0").out
    assert load_text(text).template == load_text(TEMPLATE).template
    assert "null" not in text


def test_a_graph_is_drawn(shop: Shell, tmp_path: Path) -> None:
    """The graph of a published template is that of its file: a tree, a flowchart, or levels and edges."""
    file = tmp_path / "order.yaml"
    for source in ("shop/order", str(file)):
        assert "charge  (after price)" in shop.run("template", "graph", source).out
        assert "s0 --> s1" in shop.run("template", "graph", source, "--mermaid").out
        assert shop.ok("template", "graph", source) == {
            "template": "shop/order@1.0.0",
            "levels": [["price"], ["charge"]],
            "edges": [["price", "charge"]],
        }


def test_an_empty_list_says_what_to_do(shell: Shell) -> None:
    """Where nothing is published, the list says how to publish."""
    assert "tasker template publish" in shell.run("template", "list").out
    assert shell.ok("template", "list") == {"templates": []}
