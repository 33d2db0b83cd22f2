"""From what a template names to the handler that runs the step.

A template is data, and may come from somebody else. So nothing that it says is ever imported: it is looked up among
what was found, at the start, in the modules that the user listed, and then asked of the resolvers that the user gave.

Three things say which handler a step wants. `callable` is a name: of a handler, or the path of one
(`shop.handlers.Approve`: a module that was searched, and a name in it). `method` calls another method of a handler
class than `call`. `resolver` names the one resolver to ask; without it they are asked in the order of their priorities,
the lowest first, and the first answer counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tasker.handlers.events import Events
from tasker.handlers.handler import Handler, as_handler
from tasker.handlers.resolution_methods import step_methods
from tasker.handlers.step import StepHandler
from tasker.model.errors import HandlerNotFound, InvalidHandler
from tasker.model.template import BY_NAME, BY_PATH, HandlerRef


class Resolver:
    """A way of your own from what a template names to a handler: give an instance of yours among the `handlers`.

    Handlers by their names are asked at priority 10 (`explicit_mapping`), by their paths at 100 (`class_lookup`).
    """

    name: str = ""
    """What a template's `handler.resolver` calls it: a word that no other resolver has."""
    priority: int = 50

    def resolve(self, ref: HandlerRef) -> Any:
        """A function, a StepHandler class or a Handler; None where this resolver does not know the callable.

        Called once for each step of a template, not for each execution. `ref.method` is applied to the answer, unless
        that is a Handler: then it counts as applied.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define resolve(self, ref)")

    def names(self) -> Iterable[str]:
        """The callables that it is known to answer for.

        A worker takes steps whose handlers are in such a list, and those of the templates that it was started with.
        """
        return ()


class _ByName(Resolver):
    name, priority = BY_NAME, 10

    def __init__(self, named: Mapping[str, Handler]) -> None:
        self._named = named

    def resolve(self, ref: HandlerRef) -> Any:
        handler = self._named.get(ref.callable)
        if handler is None or not ref.calls_method:
            return handler
        return as_handler(handler.source, handler.name, ref.method)


class _ByPath(Resolver):
    name, priority = BY_PATH, 100

    def __init__(self, paths: Mapping[str, Any]) -> None:
        self._paths = paths

    def resolve(self, ref: HandlerRef) -> Any:
        return self._paths.get(ref.callable)


class Registry(dict[str, Handler]):
    """The handlers of a process: a dict of those that have a name, and the other ways to them.

    `paths` are the handlers of the searched modules under `module.name`, `events` what was found beside them for domain
    events. Raises InvalidHandler where two resolvers have one name.
    """

    def __init__(
        self,
        named: Mapping[str, Handler],
        paths: Mapping[str, Any] | None = None,
        resolvers: Sequence[Resolver] = (),
        events: Events | None = None,
    ) -> None:
        super().__init__(named)
        self.events = events or Events()
        self.paths = dict(paths or {})
        self.resolvers = tuple(resolvers)
        self._chain = sorted((_ByName(self), _ByPath(self.paths), *resolvers), key=lambda one: one.priority)
        self._offers: dict[str, Handler] = {}
        names = [one.name for one in self._chain]
        for one in resolvers:
            if not one.name or names.count(one.name) > 1:
                raise InvalidHandler(f"{one!r} needs a name that no other resolver has, and has {one.name!r}")

    def __bool__(self) -> bool:
        return bool(len(self) or self.paths or self.resolvers)

    def __missing__(self, key: str) -> Handler:
        """The handler of one of the offers."""
        return self._offers[key]

    def resolve(self, ref: HandlerRef) -> Handler:
        """The handler that a step names. Raises HandlerNotFound, and InvalidHandler where it cannot be called."""
        for resolver in self._asked(ref):
            try:
                found = resolver.resolve(ref)
                if found is not None:
                    handler = found if isinstance(found, Handler) else as_handler(found, ref.callable, ref.method)
                    self._offers[ref.key] = handler
                    return handler
            except InvalidHandler:
                raise
            except Exception as error:
                # A user's resolver may raise anything.
                problem = f"the resolver {resolver.name!r} failed: {type(error).__name__}: {error}"
                raise InvalidHandler(f"{ref.key}: {problem}") from error
        raise HandlerNotFound(f'no handler "{ref.key}"')

    def offers(self) -> list[str]:
        """The keys (`HandlerRef.key`) of all steps that this process can run: what its worker tells the database."""
        for key in (*self, *self.paths):
            self._offer(HandlerRef(callable=key))
        for path, source in (*((name, one.source) for name, one in self.items()), *self.paths.items()):
            for method in step_methods(source):
                self._offer(HandlerRef(callable=path, method=method))
        for resolver in self.resolvers:
            for name in resolver.names():
                self._offer(HandlerRef(callable=name))
                self._offer(HandlerRef(callable=name, resolver=resolver.name))
        return list(self._offers)

    def _offer(self, ref: HandlerRef) -> None:
        if ref.key not in self._offers:
            try:
                self.resolve(ref)
            except (HandlerNotFound, InvalidHandler):
                return  # a base class in a searched module, or a method that is none of a step: nobody named it

    def _asked(self, ref: HandlerRef) -> Sequence[Resolver]:
        if ref.resolver is None:
            return self._chain
        asked = [one for one in self._chain if one.name == ref.resolver]
        if not asked:
            known = ", ".join(one.name for one in self._chain)
            raise HandlerNotFound(f'"{ref.callable}" asks for the resolver "{ref.resolver}"; there are: {known}')
        return asked


def resolve(handlers: Mapping[str, Handler], ref: HandlerRef) -> Handler:
    """The handler that a step names, of a Registry or of a plain dict by name.

    Raises HandlerNotFound, and InvalidHandler where it cannot be called as the step says.
    """
    registry = handlers if isinstance(handlers, Registry) else Registry(handlers)
    return registry.resolve(ref)


def offers(handlers: Mapping[str, Handler]) -> list[str]:
    """The keys of the steps that these handlers run: see Registry.offers."""
    return handlers.offers() if isinstance(handlers, Registry) else list(handlers)


def system_dependencies(handlers: Mapping[str, Handler]) -> list[str]:
    """By the same order as `offers`: the outside system that each of them depends on, "" where it names none."""
    return [handlers[key].system_dependency or "" for key in offers(handlers)]


def is_handler_class(obj: type) -> bool:
    """True for a class of a user's that derives from StepHandler, with or without a name."""
    return issubclass(obj, StepHandler) and obj is not StepHandler
