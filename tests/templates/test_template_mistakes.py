"""Every mistake has one message with its place. These are what users read, so they are written out."""

from __future__ import annotations

import pytest
from template_batch_mistakes import BATCH_MISTAKES
from template_mistakes import MISTAKES
from template_texts import HEAD, LOOSE_HEAD, step, with_steps

from tasker.model.errors import TemplateError
from tasker.templates import load_text


@pytest.mark.parametrize(
    ("text", "message"), (MISTAKES | BATCH_MISTAKES).values(), ids=(MISTAKES | BATCH_MISTAKES).keys()
)
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    """Each mistake is one problem that says where it is, what is wrong and, where that is known, what is right."""
    with pytest.raises(TemplateError) as caught:
        load_text(text, name="f")
    assert [str(problem) for problem in caught.value.problems] == [message]
    assert str(caught.value) == message


def test_several_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    """Grammar, names and edges of one file are told together, sorted by their place."""
    text = with_steps(
        "- {name: charge, handler: h, timeout_seconds: 0}\n"
        "- {name: ship, handler: h, dependencies: [chrge], retries: 1}\n"
        "- {name: ship, handler: h}\n",
        top="identity_strategy: srict\n",
    )
    with pytest.raises(TemplateError) as caught:
        load_text(text)
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (5, "identity_strategy"),
        (7, "steps[0].timeout_seconds"),
        (8, "steps[1].dependencies[0]"),
        (8, "steps[1].retries"),
        (9, "steps[2].name"),
    ]
    assert str(caught.value).startswith("5 problems:\n  <text>:5:20 identity_strategy: ")


def test_two_cycles_are_both_named() -> None:
    """Each circle is a problem of its own, named from the step that the file has first."""
    text = with_steps(
        "- {name: a, handler: h, dependencies: [b]}\n"
        "- {name: b, handler: h, dependencies: [a]}\n"
        "- {name: c, handler: h, dependencies: [e, a]}\n"
        "- {name: d, handler: h, dependencies: [c]}\n"
        "- {name: e, handler: h, dependencies: [d]}\n"
    )
    with pytest.raises(TemplateError) as caught:
        load_text(text)
    circles = [problem.message.split(": ")[1].split(";")[0] for problem in caught.value.problems]
    assert circles == ["a -> b -> a", "c -> d -> e -> c"]


def test_a_file_full_of_mistakes_ends_after_the_first_fifty() -> None:
    """The report stays readable, and says that there may be more."""
    with pytest.raises(TemplateError) as caught:
        load_text(with_steps("".join(f"- {{name: s{n}, handler: h, zzz{n}: 1}}\n" for n in range(200))))
    assert len(caught.value.problems) == 51
    assert caught.value.problems[-1].message == "there may be more problems; these are the first"


WARNINGS = {
    "unknown key": (
        step("dependancies: [b]", LOOSE_HEAD),
        'f:5:25 steps[0].dependancies: "dependancies" is not a key of a step and has no effect; '
        'did you mean "dependencies"?',
    ),
    "retry limit": (
        step("retry: {limit: 5}", LOOSE_HEAD),
        'f:5:33 steps[0].retry.limit: is read as "max_attempts": write it so',
    ),
    "override of an unknown step": (
        step("", LOOSE_HEAD, top="environments: {test: {steps: [{name: b}]}}\n"),
        'f:4:38 environments.test.steps[0].name: "b" is not a step of this template',
    ),
    "override twice": (
        step("", LOOSE_HEAD, top="environments: {test: {steps: [{name: a}, {name: a}]}}\n"),
        'f:4:49 environments.test.steps[1].name: "a" is overridden above already: put both into one',
    ),
}


@pytest.mark.parametrize(("text", "message"), WARNINGS.values(), ids=WARNINGS.keys())
def test_a_tolerant_file_is_warned_of(text: str, message: str) -> None:
    """Without `tasker: 1` these are warnings with their place, and the template loads."""
    assert [str(warning) for warning in load_text(text, name="f").warnings] == [message]


LATER = ("domain_events: [{name: a.b}]",)
LATER_IN_A_STEP = ("composition: {a: 1}",)


@pytest.mark.parametrize("head", [HEAD, LOOSE_HEAD], ids=["strict", "tolerant"])
@pytest.mark.parametrize("key", [*LATER, *LATER_IN_A_STEP])
def test_what_a_later_version_brings_is_refused_in_both_dialects(key: str, head: str) -> None:
    """A key that would be ignored is refused, tolerant file or not."""
    text = step("", head, f"{key}\n") if key in LATER else step(key, head)
    with pytest.raises(TemplateError, match="is not supported by this version of Tasker"):
        load_text(text)


@pytest.mark.parametrize("nothing", ["", "[]", "{}"])
def test_a_tolerant_file_may_carry_later_keys_that_say_nothing(nothing: str) -> None:
    """Files that the older system wrote carry such keys everywhere; they are neither errors nor warnings."""
    handler = "handler: {callable: h, method: , resolver: }"
    text = with_steps(
        f"- {{name: a, {handler}, composition: {nothing}}}\n",
        f"domain_events: {nothing}\n",
        LOOSE_HEAD,
    )
    assert load_text(text).warnings == ()
