"""Which handler a step wants, and how its method is called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tasker.model.template import HandlerRef


@dataclass
class HandlerDefinition:
    """A step's `handler` in a template."""

    callable: str
    handler_method: str | None = None
    resolver: str | None = None
    initialization: dict[str, Any] = field(default_factory=dict[str, Any])

    def effective_method(self) -> str:
        """The method that runs."""
        return self.handler_method or "call"

    def uses_method_dispatch(self) -> bool:
        """True where another method than `call` runs."""
        return self.effective_method() != "call"

    def has_resolver_hint(self) -> bool:
        """True where one resolver is named."""
        return bool(self.resolver)

    @classmethod
    def from_callable(cls, callable: str) -> HandlerDefinition:
        """Of a name alone."""
        return cls(callable=callable)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HandlerDefinition:
        """Of a template's mapping, whose key for the method is `method`."""
        return cls(
            callable=data.get("callable") or "",
            handler_method=data.get("method"),
            resolver=data.get("resolver"),
            initialization=dict(data.get("initialization") or {}),
        )

    @classmethod
    def from_ref(cls, ref: HandlerRef) -> HandlerDefinition:
        """Of the engine's record."""
        return cls(ref.callable, ref.method, ref.resolver, dict(ref.initialization))


class MethodDispatchWrapper:
    """Calls another method of a handler: `call(context)` goes there, all else to the handler.

    Raises AttributeError where the handler has no such method.
    """

    def __init__(self, handler: Any, target_method: str) -> None:
        if not callable(getattr(handler, target_method, None)):
            raise AttributeError(f"{type(handler).__name__} has no method {target_method!r}")
        self.handler = handler
        self.target_method = target_method

    def call(self, context: Any) -> Any:
        """Calls the method; what an async one returns has to be awaited."""
        return getattr(self.handler, self.target_method)(context)

    def unwrap(self) -> Any:
        """The handler itself."""
        return self.handler

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handler, name)
