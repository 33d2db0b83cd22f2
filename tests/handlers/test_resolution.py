"""From what a template names to a handler, and to nothing else."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from typing import Any

import pytest

from tasker.handlers import Handler, StepHandler, as_handler, discover, load_handler
from tasker.handlers.resolution import Registry, Resolver, offers, resolve
from tasker.model.errors import HandlerNotFound, InvalidHandler
from tasker.model.template import HandlerRef, Step, Template
from tasker.worker.plans import check_handlers, make_plan

APPROVALS = """
    import os, subprocess, functools, calendar
    from os import system
    from tasker.handlers import StepHandler, step_handler

    TOUCHED = []

    def logged(function):
        @functools.wraps(function)
        def wrapper(self, context): return function(self, context)
        return wrapper

    class Shared:
        def shared(self, context): return "shared"

    class Approve(StepHandler, Shared, calendar.TextCalendar):
        run = os.system
        execute = subprocess.run
        level = "high"

        def __init__(self): self.kept = os.system
        def call(self, context): return "call"
        def auto(self, context): return ("auto", context.get_input("a"))
        async def human(self, context): return "human"
        @logged
        def wrapped(self, context): return "wrapped"
        def more(self, context, extra=1): return "more"
        def two(self, context, other): TOUCHED.append("two")
        def none(self): TOUCHED.append("none")
        def generator(self, context): yield 1
        def _private(self, context): TOUCHED.append("private")
        def __secret(self, context): TOUCHED.append("secret")
        def __call__(self, context): TOUCHED.append("__call__")
        def __getattr__(self, name): TOUCHED.append(name); return lambda context: name
        @property
        def asked(self): TOUCHED.append("asked"); return lambda context: 1
        @staticmethod
        def static(context): TOUCHED.append("static")
        @classmethod
        def klass(cls, context): TOUCHED.append("klass")

    class Named(Approve):
        handler_name = "Shop::Approve"

    class _Hidden(Approve): pass

    class Outer:
        class Inner(Approve): pass

    @step_handler("refund")
    def refund(): return "refund"

    def undecorated(context): TOUCHED.append("undecorated")
"""
OTHER = """
    from tasker.handlers import StepHandler

    class Secret(StepHandler):
        def call(self, context): return "secret"
"""
PLACE = "approvals_for_tests.flows"


@pytest.fixture
def flows(tmp_path, monkeypatch):
    """The module `approvals_for_tests.flows`; beside it lies `unlisted_for_tests`, which nobody lists."""
    package = tmp_path / "approvals_for_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "flows.py").write_text(textwrap.dedent(APPROVALS))
    (tmp_path / "unlisted_for_tests.py").write_text(textwrap.dedent(OTHER))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = discover(["approvals_for_tests"])
    yield registry
    assert not sys.modules[PLACE].TOUCHED
    for name in [name for name in sys.modules if name.startswith(("approvals_for_tests", "unlisted_for_tests"))]:
        del sys.modules[name]
    load_handler.cache_clear()


def run(handler: Handler, context: Any) -> Any:
    found = handler.call(context)
    return asyncio.run(found) if handler.pool == "async" else found


def ref(callable: str, method: str | None = None, resolver: str | None = None) -> HandlerRef:
    return HandlerRef(callable=callable, method=method, resolver=resolver)


@pytest.mark.parametrize(
    ("wanted", "answer", "pool"),
    [
        (ref("Shop::Approve"), "call", "thread"),
        (ref(f"{PLACE}.Approve"), "call", "thread"),
        (ref(f"{PLACE}.Named", "call"), "call", "thread"),
        (ref("refund"), "refund", "thread"),
        (ref(f"{PLACE}.refund"), "refund", "thread"),
        (ref("Shop::Approve", "auto"), ("auto", 7), "thread"),
        (ref(f"{PLACE}.Approve", "human"), "human", "async"),
        (ref(f"{PLACE}.Approve", "wrapped"), "wrapped", "thread"),
        (ref("Shop::Approve", "more"), "more", "thread"),
        (ref("Shop::Approve", "shared"), "shared", "thread"),
        (ref("Shop::Approve", "auto", "explicit_mapping"), ("auto", 7), "thread"),
        (ref(f"{PLACE}.Approve", None, "class_lookup"), "call", "thread"),
    ],
)
def test_a_handler_is_found(flows, make_context, wanted, answer, pool):
    """By its name, by its path in a listed module, by a method of its class, each in the pool of what runs."""
    handler = resolve(flows, wanted)
    assert (run(handler, make_context({"a": 7})), handler.pool) == (answer, pool)


@pytest.mark.parametrize(
    "callable",
    [
        "os.system",
        "os:system",
        "subprocess.run",
        "builtins.eval",
        "eval",
        "__import__",
        "__import__('os').system",
        f"{PLACE}.os.system",
        f"{PLACE}.system",
        f"{PLACE}.subprocess",
        f"{PLACE}.undecorated",
        f"{PLACE}.StepHandler",
        f"{PLACE}._Hidden",
        f"{PLACE}.Outer.Inner",
        f"{PLACE}.Approve.auto",
        f"{PLACE}.Approve.__init__",
        f"{PLACE}.Approve.call.__globals__",
        f"{PLACE}..Approve",
        f" {PLACE}.Approve",
        f"approvals_for_tests/../{PLACE}.Approve",
        f"{PLACE}:Approve",
        "Approve",
        "unlisted_for_tests.Secret",
        "unlisted_for_tests:Secret",
        "approvals_for_tests..unlisted_for_tests.Secret",
        "",
    ],
)
def test_nothing_outside_the_listed_modules_can_be_named(flows, callable):
    """Not functions, modules, builtins, private or nested classes, nor classes of modules that nobody listed."""
    for resolver in (None, "class_lookup", "explicit_mapping"):
        with pytest.raises(HandlerNotFound):
            resolve(flows, ref(callable, None, resolver))
    assert "unlisted_for_tests" not in sys.modules


@pytest.mark.parametrize(
    "method",
    [
        "_private",
        "_Approve__secret",
        "__secret",
        "__init__",
        "__call__",
        "__class__",
        "__reduce__",
        "__getattr__",
        "asked",
        "static",
        "klass",
        "run",
        "execute",
        "iterweekdays",
        "setfirstweekday",
        "kept",
        "level",
        "two",
        "none",
        "made_up",
        "name",
        "version",
        "call.__globals__",
        "auto.__func__",
        "os.system",
        "auto()",
        "",
    ],
)
@pytest.mark.parametrize("callable", [f"{PLACE}.Approve", "Shop::Approve"])
def test_only_public_methods_of_the_user_can_be_called(flows, callable, method):
    """Nothing else of the class is called, and nothing of it is even touched."""
    with pytest.raises(InvalidHandler, match="It has: auto, "):
        resolve(flows, ref(callable, method))


def test_a_generator_is_no_step(flows):
    """As for `call`: a handler returns its result."""
    with pytest.raises(InvalidHandler, match="generator"):
        resolve(flows, ref("Shop::Approve", "generator"))


def test_a_function_has_no_methods(flows):
    """The template that says so is told."""
    with pytest.raises(InvalidHandler, match='no method "auto"'):
        resolve(flows, ref("refund", "auto"))


def test_what_templates_may_name_is_offered_to_the_database(flows):
    """Names and paths, alone and with their methods: nothing that could not run, and all that can."""
    offered = offers(flows)
    assert {"refund", "Shop::Approve", f"{PLACE}.Approve", f"{PLACE}.Approve#human"} <= set(offered)
    for key in offered:
        assert flows[key].pool in ("async", "thread")
        assert not any(word in key for word in ("_private", "static", "asked", "two", "generator", "_Hidden"))
    assert set(flows) == {"refund", "Shop::Approve"}
    assert offers({"a": flows["refund"]}) == ["a"]


def test_a_method_runs_in_a_process_too(make_context):
    """Another process finds the same method by its import path."""
    handler = as_handler(_Heavy, None, "squared")
    assert handler.pool == "process"
    assert load_handler(handler.import_path).call(make_context({"n": 3})) == (9, os.getpid())


class _Heavy(StepHandler):
    handler_name = "heavy"
    runs_in = "process"

    def squared(self, context):
        return context.get_input("n") ** 2, os.getpid()


class Prefixed(Resolver):
    """Knows every callable with its prefix."""

    def __init__(self, name: str, prefix: str, answer: Any, priority: int = 50) -> None:
        self.name, self.prefix, self.answer, self.priority = name, prefix, answer, priority
        self.asked: list[HandlerRef] = []

    def resolve(self, ref: HandlerRef) -> Any:
        self.asked.append(ref)
        return self.answer if ref.callable.startswith(self.prefix) else None

    def names(self):
        return [f"{self.prefix}known"]


class Paid(StepHandler):
    def call(self, context):
        return "paid"

    def late(self, context):
        return "late"


def test_resolvers_are_asked_in_the_order_of_their_priorities(flows, make_context):
    """The lowest priority answers; names come at 10, paths at 100, a hint asks one alone."""

    def never(context):
        return "never"

    early, middle = Prefixed("early", "", Paid, 5), Prefixed("middle", "pay:", Paid)
    registry = discover(["approvals_for_tests", middle])
    assert run(resolve(registry, ref("refund")), make_context()) == "refund"
    assert middle.asked == []
    assert run(resolve(registry, ref("pay:1", "late")), make_context()) == "late"
    assert run(resolve(registry, ref(f"{PLACE}.Approve")), make_context()) == "call"
    assert len(middle.asked) == 2
    registry = discover(["approvals_for_tests", middle, early, Prefixed("last", "", never, 500)])
    assert run(resolve(registry, ref("refund")), make_context()) == "paid"
    assert run(resolve(registry, ref("refund", None, "last")), make_context()) == "never"
    with pytest.raises(HandlerNotFound, match=r'resolver "lost"; there are: early, explicit_mapping, middle, '):
        resolve(registry, ref("refund", None, "lost"))


def test_a_resolver_is_asked_once_a_step_of_a_template():
    """Not for each execution: the answer stands in the plan."""
    resolver = Prefixed("ours", "pay:", Paid)
    steps = (Step(name="a", handler=ref("pay:1")), Step(name="b", handler=ref("pay:1", "late", "ours")))
    registry = discover([resolver])
    plan = make_plan(Template(namespace="n", name="t", version="1", steps=steps), registry)
    assert [one.handler is not None for one in plan.steps.values()] == [True, True]
    assert len(resolver.asked) == 2
    assert {"pay:known", "pay:known@ours", "pay:1", "pay:1#late@ours"} <= set(offers(registry))
    asked = len(resolver.asked)
    assert registry["pay:1#late@ours"].pool == "thread"
    assert len(resolver.asked) == asked


def test_a_resolver_that_fails_is_named():
    """At the start of the process, and the step's plan has no handler."""

    class Broken(Resolver):
        name = "broken"

        def resolve(self, ref):
            raise OSError("no map")

    template = Template(namespace="n", name="t", version="1", steps=(Step(name="a", handler=ref("x")),))
    registry = discover([Broken()])
    with pytest.raises(InvalidHandler, match="step a: x: the resolver 'broken' failed: OSError: no map"):
        check_handlers(template, registry)
    assert make_plan(template, registry).steps[1].handler is None


def test_every_problem_of_a_template_is_told_at_the_start(flows):
    """Missing handlers with their steps; methods that cannot be called likewise."""
    steps = (Step(name="a", handler=ref("os.system")), Step(name="b", handler=ref("refund", None, "nowhere")))
    with pytest.raises(HandlerNotFound, match=r'"os.system" \(step a\), "refund" asks for the resolver "nowhere"'):
        check_handlers(Template(namespace="n", name="t", version="1", steps=steps), flows)
    steps = (Step(name="a", handler=ref("Shop::Approve", "_private")), Step(name="b", handler=ref("refund", "x")))
    with pytest.raises(InvalidHandler, match=r"step a: .*_private.*step b: .*no class"):
        check_handlers(Template(namespace="n", name="t", version="1", steps=steps), flows)


@pytest.mark.parametrize("name", ["", "explicit_mapping", "class_lookup"])
def test_a_resolver_needs_a_name_of_its_own(name):
    """A hint must mean one."""
    with pytest.raises(InvalidHandler, match="needs a name"):
        Registry({}, {}, [Prefixed(name, "x", Paid)])
