"""What is published beside the code is made from it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from template_mistakes import MISTAKES
from template_texts import ENVIRONMENTS, FULL, HEAD, template

from tasker.model.errors import TemplateError
from tasker.templates import load_text, to_definition
from tasker.templates.schema import json_schema, tables

DOCS = Path(__file__).parents[2] / "docs"
VALIDATOR = jsonschema.Draft7Validator(json_schema())
PAGE = (DOCS / "templates.md").read_text()


def as_json(text: str) -> object:
    """What an editor sees of a YAML file."""
    from ruamel.yaml import YAML

    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))


def test_the_published_schema_is_the_grammars() -> None:
    """`python -m tasker.templates.schema > docs/template.schema.json` makes it."""
    assert (DOCS / "template.schema.json").read_text() == json.dumps(json_schema(), indent=2) + "\n"


def test_the_reference_page_has_the_grammars_tables() -> None:
    """`python -m tasker.templates.schema --tables` makes them."""
    assert tables() in PAGE


def test_the_schema_is_a_schema() -> None:
    """Of the draft that it names."""
    jsonschema.Draft7Validator.check_schema(json_schema())


@pytest.mark.parametrize("text", [FULL, ENVIRONMENTS, json.dumps(to_definition(template("a -> b, c -> d")))])
def test_the_schema_accepts_what_the_checker_accepts(text: str) -> None:
    """An editor does not complain of a template that loads."""
    load_text(text)
    VALIDATOR.validate(as_json(text))


def _is_a_matter_of_grammar(message: str) -> bool:
    others = (
        "not a step of this",
        "depend on itself",
        "stands in this list",
        "in a circle",
        "and none does",
        "and has none",
        "already",
        "means every step",
        "JSON Schema:",
        "JSON Schema dialect",
        "leads nowhere",
        "lies outside",
        "refers to itself",
        'the key "name" stands',
        "a key must",
        "tag",
        "anchor",
        "<<",
        "JSON can carry",
        "64 bits",
        "surrogate",
        "not valid YAML",
        "a second document",
    )
    return not any(words in message for words in others)


GRAMMATICAL = {name: text for name, (text, message) in MISTAKES.items() if _is_a_matter_of_grammar(message)}


@pytest.mark.parametrize("text", GRAMMATICAL.values(), ids=GRAMMATICAL.keys())
def test_the_schema_refuses_what_the_grammar_refuses(text: str) -> None:
    """Mistakes of form are seen while writing; those of names and edges need the checker."""
    assert not VALIDATOR.is_valid(as_json(text))


def test_most_mistakes_are_seen_in_an_editor() -> None:
    """So that the test above cannot become empty."""
    assert len(GRAMMATICAL) > 40


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_reference_page_load() -> None:
    """Without a warning that the page does not speak of."""
    today, older = _blocks("yaml")
    assert load_text(today).warnings == ()
    assert [warning.path for warning in load_text(older).warnings] == ["schema"]


def test_the_messages_of_the_reference_page_are_real() -> None:
    """They are what the checker says."""
    text = f"""{HEAD.replace("1.0.0", '"1.0"')}
input_schema:
  type: object
steps:
  - name: charge
    handler: h
  - name: ship
    dependancies: [charge]
    handler: h

  - name: mail
    handler: h


    dependencies: [chrge]
"""
    with pytest.raises(TemplateError) as caught:
        load_text(text, name="config/tasks/order.yaml")
    shown = [line.split(" ", 1)[1] for line in _blocks("text")[0].splitlines()]
    assert [str(problem).split(" ", 1)[1] for problem in caught.value.problems] == shown
