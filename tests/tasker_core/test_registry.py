"""Names, packages and resolvers of the older interface."""

from __future__ import annotations

import os
import sys
from typing import Any
from uuid import UUID

import pytest
from core_support import Application

from tasker.handlers import discover
from tasker.model.errors import HandlerNotFound, InvalidHandler
from tasker.model.template import HandlerRef
from tasker_core import (
    ClassLookupResolver,
    ExplicitMappingResolver,
    HandlerDefinition,
    HandlerRegistry,
    MethodDispatchWrapper,
    RegistryResolver,
    ResolverChain,
    ResolverNotFoundError,
    StepHandler,
)
from tasker_core.runtime import current


class One(StepHandler):
    handler_name = "one"

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def call(self, context):
        return self.success({"one": 1})

    def other(self, context):
        return self.success({"other": 1})


class Needy(StepHandler):
    def __init__(self, config):
        self.config = config

    def call(self, context):
        return self.success({})


class Pays(RegistryResolver):
    _name = "pays"
    pattern = r"pay:\w+"

    def resolve_handler(self, definition, config=None):
        return One()


@pytest.fixture
def registry():
    HandlerRegistry.reset_instance()
    yield HandlerRegistry.instance(skip_bootstrap=True)
    HandlerRegistry.reset_instance()


def test_names_are_kept(registry) -> None:
    """Register, resolve to fresh instances, replace, take away."""
    registry.register("a", One)
    assert registry.is_registered("a") and registry.list_handlers() == ["a"] and registry.handler_count() == 1
    assert isinstance(registry.resolve("a"), One) and registry.resolve("a") is not registry.resolve("a")
    assert registry.resolve("b") is None
    registry.register("a", Needy)
    definition = HandlerDefinition.from_dict({"callable": "a", "initialization": {"x": 1}})
    assert registry.resolve(definition).config == {"x": 1}
    with pytest.raises(ValueError, match="derive it from StepHandler"):
        registry.register("c", dict)
    assert registry.unregister("a") and not registry.unregister("a")


def test_packages_are_searched_and_broken_ones_hurt_nobody(registry, tmp_path, monkeypatch) -> None:
    """What cannot be imported is left out, with a log line; the rest is registered by name and by path."""
    package = tmp_path / "searched_for_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "broken.py").write_text("raise RuntimeError('no')")
    (package / "good.py").write_text(
        "from tasker_core import StepHandler\n"
        "from tasker_core.step_handler.functional import step_handler\n"
        "class Unnamed(StepHandler):\n    def call(self, context): return None\n"
        "class Named(Unnamed):\n    handler_name = 'named'\n"
        "@step_handler('function')\ndef function(): pass\n"
        "class Proxy:\n"
        "    def __getattribute__(self, name): raise RuntimeError('no request')\n"
        "request = Proxy()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert registry.discover_handlers("searched_for_tests") == 2
    assert registry.discover_handlers("no_such_package_for_tests") == 0
    assert set(registry.list_handlers()) == {"named", "function"}
    assert registry.resolve("searched_for_tests.good.Unnamed") is not None
    engine = registry.to_engine()
    assert engine.resolve(HandlerRef(callable="searched_for_tests.good.Unnamed")).pool == "thread"
    assert set(discover(["searched_for_tests.good"])) == {"named", "function"}
    for name in [name for name in sys.modules if name.startswith("searched_for_tests")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    "name", ["os.system", "subprocess.Popen", "collections.OrderedDict", "tasker_core.StepHandler"]
)
def test_a_path_imports_nothing(registry, name: str) -> None:
    """Neither the older lookup nor the engine's leaves the packages that were searched."""
    registry.register("one", One)
    assert registry.resolve(name) is None
    with pytest.raises(HandlerNotFound):
        registry.to_engine().resolve(HandlerRef(callable=name))


@pytest.mark.parametrize("method", ["_made", "__init__", "success", "failure", "name", "config_schema", "repr"])
def test_a_template_cannot_call_what_is_no_step(registry, method: str) -> None:
    """Methods of the interface itself are none that a template may name."""
    registry.register("one", One)
    with pytest.raises(InvalidHandler, match="It has: other"):
        registry.to_engine().resolve(HandlerRef(callable="one", method=method))


def test_the_chain_asks_in_its_order() -> None:
    """Names, then resolvers of one's own, then paths; a hint asks one alone; methods are dispatched."""
    chain = ResolverChain.default()
    chain.add_resolver(Pays())
    assert chain.resolver_names == ["explicit_mapping", "pays", "class_lookup"]
    assert chain.list_resolvers() == [("explicit_mapping", 10), ("pays", 50), ("class_lookup", 100)]
    chain.register("one", One)
    chain.register("made", lambda config: Needy(config))
    assert isinstance(chain.resolve(HandlerDefinition.from_callable("pay:visa")), One)
    assert chain.resolve(HandlerDefinition("made", initialization={"a": 1})).config == {"a": 1}
    wrapped = chain.resolve(HandlerDefinition("one", handler_method="other"))
    assert isinstance(wrapped, MethodDispatchWrapper)
    assert wrapped.call(None).result == {"other": 1}
    assert (wrapped.handler_name, wrapped.target_method, wrapped.unwrap()) == ("one", "other", wrapped.handler)
    with pytest.raises(AttributeError):
        MethodDispatchWrapper(One(), "missing")
    with pytest.raises(ResolverNotFoundError, match="there are: explicit_mapping, pays, class_lookup"):
        chain.resolve(HandlerDefinition("one", resolver="nowhere"))
    assert not chain.can_resolve(HandlerDefinition("pay"))
    assert isinstance(chain.explicit_resolver, ExplicitMappingResolver)
    assert isinstance(chain.get_resolver("class_lookup"), ClassLookupResolver)
    assert chain.remove_resolver("pays") and len(chain) == 2


def test_a_custom_resolver_serves_steps(application: Application) -> None:
    """With its hint and without, and with a method of what it answers."""
    HandlerRegistry.instance().resolver_chain.add_resolver(Pays())
    steps = (
        "[{name: a, handler: {callable: 'pay:visa'}}, {name: b, handler: {callable: 'pay:x', resolver: pays}}, "
        "{name: c, handler: {callable: 'pay:x', method: other}}]"
    )
    client = application(f"{{name: t, namespace_name: n, version: 1.0.0, steps: {steps}}}")
    task = client.create_task("t", namespace="n")
    done = current().run(current().tasker.wait(UUID(task.task_uuid), 20))
    assert done.results == {"a": {"one": 1}, "b": {"one": 1}, "c": {"other": 1}}


def test_the_environment_names_packages(monkeypatch, tmp_path) -> None:
    """PYTHON_HANDLER_PATH is searched when the registry is first asked for."""
    (tmp_path / "from_environment_for_tests.py").write_text(
        "from tasker_core import StepHandler\n"
        "class Found(StepHandler):\n    handler_name = 'found'\n    def call(self, context): return None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHON_HANDLER_PATH", os.pathsep.join(["from_environment_for_tests", " "]))
    HandlerRegistry.reset_instance()
    assert HandlerRegistry.instance().list_handlers() == ["found"]
    HandlerRegistry.reset_instance()
