"""The graph of a template."""

from __future__ import annotations

from pathlib import Path

import pytest
from template_texts import template, with_steps

from tasker.templates import load_text
from tasker.templates.graph import ancestors, ancestors_of, children, find_cycle, levels, mermaid, tree

DIAMOND = template("a -> b, c -> d")


def test_levels_follow_the_edges() -> None:
    """A step stands one level below its deepest parent, in the order of the file."""
    assert levels(DIAMOND) == [["a"], ["b", "c"], ["d"]]
    text = "- {name: z, handler: h, dependencies: [b]}\n- {name: b, handler: h}\n- {name: a, handler: h}\n"
    assert levels(load_text(with_steps(text)).template) == [["b", "a"], ["z"]]


def test_relatives() -> None:
    """Children are direct, ancestors all the way up, both in the order of the template."""
    assert children(DIAMOND) == {"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}
    assert ancestors(DIAMOND) == {"a": (), "b": ("a",), "c": ("a",), "d": ("a", "b", "c")}
    assert ancestors_of(DIAMOND, "d") == ("a", "b", "c")
    with pytest.raises(KeyError):
        ancestors_of(DIAMOND, "x")


def test_a_cycle_is_named_from_its_first_step() -> None:
    """It reads in the direction of the work, and begins where the file does."""
    assert find_cycle({"x": [], "a": ["c", "x"], "b": ["a"], "c": ["b"]}) == ["a", "b", "c", "a"]
    assert find_cycle({"a": ["a"]}) == ["a", "a"]
    assert find_cycle({"a": [], "b": ["a"], "c": ["a", "b"]}) is None


def test_the_longest_cycle_is_found_without_recursion() -> None:
    """Ten thousand steps in a circle are named."""
    names = [f"s{n}" for n in range(10_000)]
    cycle = find_cycle({name: [names[index - 1]] for index, name in enumerate(names)})
    assert cycle is not None
    assert (len(cycle), cycle[0], cycle[-1]) == (10_001, "s0", "s0")


def test_decisions_and_convergences_are_drawn_as_such() -> None:
    """One sees where a workflow chooses its way, and where the ways meet."""
    approval = load_text(
        with_steps(
            "- {name: route, type: decision, handler: h}\n"
            "- {name: a, handler: h, dependencies: [route]}\n"
            "- {name: b, handler: h, dependencies: [route]}\n"
            "- {name: end, type: deferred_convergence, handler: h, dependencies: [a, b]}\n"
        )
    ).template
    drawn = mermaid(approval)
    assert all(part in drawn for part in ('s0{"route"}', 's3(["end"])', "s0 -.-> s1", "s1 --> s3")), drawn
    assert "route  [decision]" in tree(approval)


def test_mermaid() -> None:
    """A flowchart with an edge for each dependency; names cannot break out of their boxes."""
    assert mermaid(DIAMOND) == (
        'flowchart TD\n    s0["a"]\n    s1["b"]\n    s2["c"]\n    s3["d"]\n'
        "    s0 --> s1\n    s0 --> s2\n    s1 --> s3\n    s2 --> s3\n"
    )
    odd = load_text(with_steps("- {name: 'x\"]; click <b>', handler: h}\n")).template
    assert mermaid(odd) == 'flowchart TD\n    s0["x#34;#93;#59; click #60;b#62;"]\n'


def test_tree() -> None:
    """Levels as a tree; each step says what it comes after."""
    assert tree(DIAMOND) == (
        "shop/order@1.0.0\n"
        "├── level 1\n"
        "│   └── a\n"
        "├── level 2\n"
        "│   ├── b  (after a)\n"
        "│   └── c  (after a)\n"
        "└── level 3\n"
        "    └── d  (after b, c)\n"
    )


def test_the_shape_has_bounds() -> None:
    """A thousand steps one after another are allowed, one more is not; ten thousand in all."""
    chain = [f"- {{name: s{n}, handler: h, dependencies: [{f's{n - 1}' if n else ''}]}}\n" for n in range(1_001)]
    assert len(levels(load_text(with_steps("".join(chain[:1_000]))).template)) == 1_000
    with pytest.raises(Exception, match="the longest way has 1001 steps, and at most 1000 are allowed"):
        load_text(with_steps("".join(chain)))


def test_too_many_steps(tmp_path: Path) -> None:
    """Their number is told before anything else about them."""
    steps = "".join(f"- {{name: s{n}, handler: h}}\n" for n in range(10_001))
    with pytest.raises(Exception, match="10001 steps are too many: at most 10000 are allowed"):
        load_text(with_steps(steps))
