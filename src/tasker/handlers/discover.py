"""Finding handlers: from names of modules, modules, functions, classes and dicts to handlers by name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any, cast

from tasker.handlers.events import DomainEventPublisher, Events, for_events_in, is_for_events
from tasker.handlers.functional import MARK, Declaration
from tasker.handlers.handler import ADAPT, Handler, as_handler, import_object
from tasker.handlers.resolution import Registry, Resolver, is_handler_class
from tasker.handlers.step import StepHandler
from tasker.model.errors import InvalidHandler


def discover(sources: Iterable[Any] | str | ModuleType | Mapping[str, Any]) -> Registry:
    """Handlers by name, and by path.

    A source is the name of a module (`"shop.handlers"`; of a package: with all modules under it), `"module:name"` of
    one handler, a module, a Handler, a function with @step_handler, a StepHandler class, a dict of name to any of
    these or to a plain function, or a Resolver. In modules, functions with @step_handler and classes with a
    `handler_name` count, those they import from elsewhere included; these, and classes without a name, are found under
    `module.name` too. A Registry is taken as it is. Subscribers and publishers of domain events are taken from the
    same sources: functions with @on_event, DomainEventPublisher classes and instances.

    Raises InvalidHandler where a module cannot be imported, something is no handler, or two have one name.
    """
    if isinstance(sources, Registry):
        return sources
    if (
        isinstance(sources, str | ModuleType | Mapping)
        or callable(sources)
        or isinstance(sources, Handler | Resolver | DomainEventPublisher)
    ):
        sources = [sources]
    found: dict[str, Handler] = {}
    paths: dict[str, Any] = {}
    resolvers: list[Resolver] = []
    for_events: list[Any] = []
    for source in sources:
        if is_for_events(source):
            for_events.append(source)
            continue
        if isinstance(source, Resolver):
            resolvers.append(source)
            continue
        for handler in _handlers_in(source, paths, for_events):
            _add(found, handler)
            if getattr(handler.source, "__qualname__", "").isidentifier():
                paths.setdefault(handler.place, handler.source)
    return Registry(found, paths, resolvers, Events(for_events))


def _add(found: dict[str, Handler], handler: Handler) -> None:
    other = found.setdefault(handler.name, handler)
    if other.source is not handler.source:
        raise InvalidHandler(
            f"two handlers have the name {handler.name!r}: {other.place} and {handler.place}: rename one of them"
        )


def _handlers_in(source: Any, paths: dict[str, Any], for_events: list[Any]) -> Iterator[Handler]:
    if isinstance(source, Mapping):
        for name, obj in cast("Mapping[str, Any]", source).items():
            yield as_handler(import_object(obj) if isinstance(obj, str) else obj, name)
    elif isinstance(source, str) and ":" in source:
        yield as_handler(import_object(source))
    elif isinstance(source, str):
        for module in _modules(source):
            for_events += for_events_in(module)
            yield from _handlers_of_module(module, paths)
    elif isinstance(source, ModuleType):
        for module in _modules(source.__name__) if hasattr(source, "__path__") else [source]:
            for_events += for_events_in(module)
            yield from _handlers_of_module(module, paths)
    else:
        yield as_handler(source)


def _modules(name: str) -> Iterator[ModuleType]:
    module = _imported(name)
    yield module
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}.", onerror=_refuse):
        if not found.name.endswith(".__main__"):
            yield _imported(found.name)


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        # A user's module may raise anything while it is imported.
        raise InvalidHandler(f"cannot import the handlers of {name!r}: {type(error).__name__}: {error}") from error


def _refuse(name: str) -> None:
    _imported(name)


def _handlers_of_module(module: ModuleType, paths: dict[str, Any]) -> Iterator[Handler]:
    for name, obj in list(vars(module).items()):
        is_handler = _is_handler(obj)
        if is_handler:
            yield as_handler(obj)
        if not name.startswith("_") and (is_handler or (_is_class(obj) and is_handler_class(obj))):
            paths[f"{module.__name__}.{name}"] = obj


def _is_handler(obj: Any) -> bool:
    """Asks types and the object's own dict only: a module may hold proxies that raise when they are asked anything."""
    if _is_class(obj):
        return issubclass(obj, StepHandler) and bool(obj.handler_name)
    kind = cast("type[object]", type(obj))
    if kind is Handler:
        return True
    if kind is FunctionType and ADAPT in vars(obj):
        return True
    declaration: Any = inspect.getattr_static(obj, MARK, None)
    return isinstance(declaration, Declaration) and declaration.name is not None


def _is_class(obj: Any) -> bool:
    return issubclass(cast("type[object]", type(obj)), type)
