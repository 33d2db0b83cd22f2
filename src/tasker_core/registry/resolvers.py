"""Resolvers: ways from a name in a template to a handler."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from tasker.model.template import BY_NAME, BY_PATH
from tasker_core.registry.definition import HandlerDefinition, MethodDispatchWrapper


class ResolutionError(Exception):
    """A name leads to no handler."""


class ResolverNotFoundError(ResolutionError):
    """A step asks for a resolver that is not there."""


def made(handler: Any, config: Mapping[str, Any]) -> Any:
    """An instance of a class (with its configuration where it cannot be made without); an instance as it is."""
    if not isinstance(handler, type):
        return handler if hasattr(handler, "call") else handler(dict(config))
    kind: Any = handler
    try:
        return kind()
    except TypeError:
        return kind(config=dict(config))


class BaseResolver(ABC):
    """A resolver: `can_resolve` says whether it knows the definition, `resolve` makes the handler."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What a template's `handler.resolver` calls it."""

    @property
    @abstractmethod
    def priority(self) -> int:
        """The lowest is asked first."""

    @abstractmethod
    def can_resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> bool:
        """Whether it knows the definition."""

    @abstractmethod
    def resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> Any:
        """An instance of the handler; None where there is none."""

    def registered_callables(self) -> list[str]:
        """The names that it is known to answer for."""
        return []


class ExplicitMappingResolver(BaseResolver):
    """Names that were registered: a class, an instance with `call`, or a factory that takes the configuration."""

    def __init__(self, name: str = BY_NAME) -> None:
        self._name = name
        self._handlers: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """See BaseResolver."""
        return self._name

    @property
    def priority(self) -> int:
        """See BaseResolver."""
        return 10

    def register(self, key: str, handler: Any) -> None:
        """Puts a handler under a name."""
        self._handlers[key] = handler

    def unregister(self, key: str) -> Any:
        """Takes a name away; the handler, or None."""
        return self._handlers.pop(key, None)

    def get(self, key: str) -> Any:
        """What is registered; None where nothing is."""
        return self._handlers.get(key)

    def clear(self) -> None:
        """Forgets all."""
        self._handlers.clear()

    def can_resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> bool:
        """See BaseResolver."""
        return definition.callable in self._handlers

    def resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> Any:
        """See BaseResolver."""
        handler = self._handlers.get(definition.callable)
        return None if handler is None else made(handler, definition.initialization or config or {})

    def registered_callables(self) -> list[str]:
        """See BaseResolver."""
        return list(self._handlers)


class ClassLookupResolver(BaseResolver):
    """Paths of handler classes in the packages that were searched for handlers. Nothing is imported."""

    def __init__(self, paths: Mapping[str, Any] | None = None) -> None:
        self.paths: dict[str, Any] = dict(paths or {})

    @property
    def name(self) -> str:
        """See BaseResolver."""
        return BY_PATH

    @property
    def priority(self) -> int:
        """See BaseResolver."""
        return 100

    def can_resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> bool:
        """See BaseResolver."""
        return definition.callable in self.paths

    def resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> Any:
        """See BaseResolver."""
        handler = self.paths.get(definition.callable)
        return None if handler is None else made(handler, definition.initialization or config or {})


class RegistryResolver(BaseResolver):
    """For resolvers of your own: set `pattern` (a regular expression) or `prefix`, define `resolve_handler`."""

    _name: ClassVar[str] = "custom_resolver"
    _priority: ClassVar[int] = 50
    pattern: ClassVar[Any] = None
    prefix: ClassVar[str | None] = None

    @property
    def name(self) -> str:
        """See BaseResolver."""
        return self._name

    @property
    def priority(self) -> int:
        """See BaseResolver."""
        return self._priority

    def can_resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> bool:
        """See BaseResolver."""
        if self.pattern is not None:
            return re.match(self.pattern, definition.callable) is not None
        return self.prefix is not None and definition.callable.startswith(self.prefix)

    def resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> Any:
        """See BaseResolver."""
        return self.resolve_handler(definition, config)

    def resolve_handler(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> Any:
        """An instance of the handler; None where there is none."""
        raise NotImplementedError(f"{type(self).__name__} does not define resolve_handler")


class ResolverChain:
    """Resolvers by priority. A resolver that a definition names is asked alone."""

    def __init__(self) -> None:
        self._resolvers: list[BaseResolver] = []

    @classmethod
    def default(cls) -> ResolverChain:
        """Registered names, then paths."""
        chain = cls()
        chain.add_resolver(ExplicitMappingResolver())
        chain.add_resolver(ClassLookupResolver())
        return chain

    def add_resolver(self, resolver: BaseResolver) -> None:
        """Adds one, at the place of its priority."""
        self._resolvers.append(resolver)
        self._resolvers.sort(key=lambda one: one.priority)

    def remove_resolver(self, name: str) -> bool:
        """Takes one away; whether it was there."""
        kept = [one for one in self._resolvers if one.name != name]
        is_removed = len(kept) < len(self._resolvers)
        self._resolvers = kept
        return is_removed

    def get_resolver(self, name: str) -> BaseResolver | None:
        """The resolver of that name."""
        return next((one for one in self._resolvers if one.name == name), None)

    @property
    def explicit_resolver(self) -> ExplicitMappingResolver | None:
        """The one for registered names."""
        return next((one for one in self._resolvers if isinstance(one, ExplicitMappingResolver)), None)

    def resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> Any:
        """The handler of a definition, its method applied. Raises ResolutionError, ResolverNotFoundError."""
        for resolver in self._asked(definition):
            if resolver.can_resolve(definition, config):
                handler = resolver.resolve(definition, config)
                if handler is not None:
                    return self.wrap_for_method_dispatch(handler, definition)
        raise ResolutionError(f"no resolver knows {definition.callable!r}: asked {', '.join(self.resolver_names)}")

    def can_resolve(self, definition: HandlerDefinition, config: dict[str, Any] | None = None) -> bool:
        """Whether some resolver knows it."""
        return any(one.can_resolve(definition, config) for one in self._resolvers)

    def register(self, key: str, handler: Any) -> None:
        """Puts a handler under a name. Raises ResolverNotFoundError where the chain keeps no names."""
        if self.explicit_resolver is None:
            raise ResolverNotFoundError("this chain has no explicit_mapping resolver")
        self.explicit_resolver.register(key, handler)

    def registered_callables(self) -> list[str]:
        """The names that its resolvers are known to answer for."""
        return [name for one in self._resolvers for name in one.registered_callables()]

    def chain_info(self) -> list[dict[str, Any]]:
        """Name, priority and known names of each resolver."""
        return [
            {"name": one.name, "priority": one.priority, "callables": one.registered_callables()}
            for one in self._resolvers
        ]

    @property
    def resolver_names(self) -> list[str]:
        """In their order."""
        return [one.name for one in self._resolvers]

    def list_resolvers(self) -> list[tuple[str, int]]:
        """Names and priorities."""
        return [(one.name, one.priority) for one in self._resolvers]

    def wrap_for_method_dispatch(self, handler: Any, definition: HandlerDefinition) -> Any:
        """The handler, or a wrapper that calls the definition's method."""
        if definition.uses_method_dispatch():
            return MethodDispatchWrapper(handler, definition.effective_method())
        return handler

    @property
    def custom(self) -> list[BaseResolver]:
        """Those that are neither names nor paths."""
        return [one for one in self._resolvers if one.name not in (BY_NAME, BY_PATH)]

    def _asked(self, definition: HandlerDefinition) -> list[BaseResolver]:
        if not definition.has_resolver_hint():
            return self._resolvers
        named = self.get_resolver(definition.resolver or "")
        if named is None:
            known = ", ".join(self.resolver_names)
            raise ResolverNotFoundError(f"there is no resolver {definition.resolver!r}; there are: {known}")
        return [named]

    def __len__(self) -> int:
        return len(self._resolvers)
