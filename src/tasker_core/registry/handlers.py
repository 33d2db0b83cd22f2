"""The handlers of the process, by name."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
import threading
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, ClassVar, cast

import structlog

from tasker.handlers import Handler, Registry, Resolver, as_handler
from tasker.model.errors import InvalidHandler
from tasker.model.template import BY_PATH, HandlerRef
from tasker_core.adapters import adapt
from tasker_core.event_bridge import EventBridge, EventNames, is_heard
from tasker_core.models import HandlerWrapper
from tasker_core.registry.definition import HandlerDefinition
from tasker_core.registry.resolvers import BaseResolver, ClassLookupResolver, ResolutionError, ResolverChain
from tasker_core.step_handler.base import StepHandler

_log = structlog.get_logger("tasker_core.registry")
_TEST_MODULES = ("handlers", "step_handler", "workflow", "test")


class HandlerRegistry:
    """Handlers by name, of packages that were searched, and of resolvers. One to a process: `instance()`."""

    _instance: ClassVar[HandlerRegistry | None] = None
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._chain = ResolverChain.default()
        self._is_bootstrapped = False

    @classmethod
    def instance(cls, skip_bootstrap: bool = False) -> HandlerRegistry:
        """The registry of the process; the first call bootstraps it."""
        with cls._lock:
            if cls._instance is None:
                cls._instance = cls()
        if not skip_bootstrap:
            cls._instance.bootstrap_handlers()
        return cls._instance

    @classmethod
    def reset_instance(cls) -> None:
        """Forgets the registry of the process."""
        cls._instance = None

    @property
    def resolver_chain(self) -> ResolverChain:
        """The resolvers, names and paths among them."""
        return self._chain

    def register(self, name: str, handler_class: Any) -> None:
        """Puts a handler class under a name, in the place of another. Raises ValueError for what is none."""
        if not (isinstance(handler_class, type) and issubclass(handler_class, StepHandler)):
            raise ValueError(f"{handler_class!r} is not a handler class: derive it from StepHandler")
        if self.is_registered(name) and self.get_handler_class(name) is not handler_class:
            _log.warning("a handler takes the place of another", handler=name)
        self._chain.register(name, handler_class)
        if is_heard(EventNames.HANDLER_REGISTERED):
            EventBridge.instance().publish(EventNames.HANDLER_REGISTERED, name, handler_class)

    def unregister(self, name: str) -> bool:
        """Takes a name away; whether it was there."""
        explicit = self._chain.explicit_resolver
        return explicit is not None and explicit.unregister(name) is not None

    def resolve(self, handler: str | HandlerDefinition | HandlerWrapper) -> Any:
        """A fresh instance; None where the name leads to none."""
        try:
            return self._chain.resolve(_definition(handler))
        except ResolutionError:
            return None

    def get_handler_class(self, name: str) -> Any:
        """What is registered under the name; None where nothing is."""
        explicit = self._chain.explicit_resolver
        return None if explicit is None else explicit.get(name)

    def is_registered(self, name: str) -> bool:
        """Whether something is."""
        return self.get_handler_class(name) is not None

    def list_handlers(self) -> list[str]:
        """The registered names."""
        explicit = self._chain.explicit_resolver
        return [] if explicit is None else explicit.registered_callables()

    def handler_count(self) -> int:
        """How many there are."""
        return len(self.list_handlers())

    def clear(self) -> None:
        """Forgets all names and paths."""
        if self._chain.explicit_resolver is not None:
            self._chain.explicit_resolver.clear()
        self._paths.clear()
        self._is_bootstrapped = False

    def discover_handlers(self, package: str, base_class: type | None = None) -> int:
        """Imports a package with all modules below it and registers its handlers; how many.

        What cannot be imported is logged and left out; 0 where the package itself cannot.
        """
        return sum(self._register_module(module, base_class or StepHandler) for module in _modules(package))

    def bootstrap_handlers(self) -> int:
        """Registers, once, what is named by the environment: how many.

        PYTHON_HANDLER_PATH is searched; with TASKER_ENV=test, so are modules of handlers and tests that are imported.
        """
        if self._is_bootstrapped:
            return 0
        self._is_bootstrapped = True
        packages = [name for name in os.environ.get("PYTHON_HANDLER_PATH", "").split(os.pathsep) if name.strip()]
        count = sum(self.discover_handlers(name.strip()) for name in packages)
        if os.environ.get("TASKER_ENV") == "test":
            modules = [one for name, one in list(sys.modules.items()) if _is_of_tests(name)]
            count += sum(self._register_module(module, StepHandler) for module in modules)
        return count

    def template_discovery_info(self) -> dict[str, Any]:
        """Where templates are looked for, and what they name."""
        from tasker_core.template_discovery import HandlerDiscovery, TemplatePath

        folder = TemplatePath.find_template_config_directory()
        return {
            "template_path": None if folder is None else str(folder),
            "template_files": []
            if folder is None
            else [str(one) for one in TemplatePath.discover_template_files(folder)],
            "handlers": HandlerDiscovery.discover_all_handlers(folder),
        }

    def to_engine(self) -> Registry:
        """The same handlers as the worker takes them. Raises InvalidHandler where one cannot be called."""
        named: dict[str, Handler] = {}
        for name in self.list_handlers():
            named[name] = _engine_handler(self.get_handler_class(name), name)
        return Registry(named, self._paths, [_Bridge(one) for one in self._chain.custom])

    @property
    def _paths(self) -> dict[str, Any]:
        lookup = self._chain.get_resolver(BY_PATH)
        return lookup.paths if isinstance(lookup, ClassLookupResolver) else {}

    def _register_module(self, module: ModuleType, base_class: type) -> int:
        count = 0
        for name, obj in list(vars(module).items()):
            handler_class: Any = obj if _is_class(obj) else inspect.getattr_static(obj, "_handler_class", None)
            if not (_is_class(handler_class) and issubclass(handler_class, base_class)):
                continue
            if not name.startswith("_"):
                self._paths[f"{module.__name__}.{name}"] = handler_class
            handler_name: str = getattr(handler_class, "handler_name", "")
            if handler_name and issubclass(handler_class, StepHandler):
                self.register(handler_name, handler_class)
                count += 1
        return count


class _Bridge(Resolver):
    """A resolver of `tasker_core` for the engine's registry."""

    def __init__(self, resolver: BaseResolver) -> None:
        self.name, self.priority = resolver.name, resolver.priority
        self._resolver = resolver

    def resolve(self, ref: HandlerRef) -> Any:
        definition = HandlerDefinition.from_ref(ref)
        if not self._resolver.can_resolve(definition):
            return None
        handler = self._resolver.resolve(definition)
        return None if handler is None else adapt(handler, ref.callable, ref.method if ref.calls_method else None)

    def names(self) -> Sequence[str]:
        return self._resolver.registered_callables()


def _engine_handler(handler: Any, name: str) -> Handler:
    if isinstance(handler, type) or hasattr(handler, "call"):
        return as_handler(handler, name) if isinstance(handler, type) else adapt(handler, name, None)
    raise InvalidHandler(f"{name!r} is registered as a factory, which needs a resolver of its own: derive one")


def _definition(handler: str | HandlerDefinition | HandlerWrapper) -> HandlerDefinition:
    if isinstance(handler, str):
        return HandlerDefinition.from_callable(handler)
    if isinstance(handler, HandlerWrapper):
        return HandlerDefinition(handler.callable, handler.method, handler.resolver, handler.initialization)
    return handler


def _is_class(obj: Any) -> bool:
    """Asks the type alone: a module may hold proxies that raise when they are asked anything."""
    return issubclass(cast("type[object]", type(obj)), type)


def _is_of_tests(name: str) -> bool:
    return not name.startswith(("tasker", "_pytest", "pytest")) and any(word in name for word in _TEST_MODULES)


def _modules(package: str) -> Iterator[ModuleType]:
    module = _imported(package)
    if module is None:
        return
    yield module
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{package}.", onerror=lambda _: None):
        if not found.name.endswith(".__main__") and (inner := _imported(found.name)) is not None:
            yield inner


def _imported(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except Exception as error:
        # A user's module may raise anything while it is imported; the others are served all the same.
        _log.error("cannot import handlers", module=name, error=f"{type(error).__name__}: {error}")
        return None
