"""A handler as the worker sees it: one record, whatever the user wrote."""

from __future__ import annotations

import asyncio
import importlib
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from functools import cache
from types import FunctionType
from typing import Any, cast

from tasker.handlers.context import StepContext
from tasker.handlers.functional import Declaration, bind_function, declaration_of, place_of
from tasker.handlers.older import run_process, run_process_async
from tasker.handlers.resolution_methods import step_method
from tasker.handlers.step import Pool, StepHandler
from tasker.model.errors import InvalidHandler

POOLS: tuple[Pool, ...] = ("async", "thread", "process")
DEPENDENCY_MAX = 255
ADAPT = "__tasker_adapt__"
"""Where handlers of another interface keep the function `(obj, name, method) -> Handler` that adapts them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Handler:
    """A handler, ready to be called: `await handler.call(context)` in the pool "async", a plain call in the others.

    What `call` returns or raises goes through `outcome_of_result` and `outcome_of_error`.
    """

    name: str
    version: str
    call: Callable[[StepContext], Any]
    pool: Pool
    needs: frozenset[str] | None
    """The names of the steps whose results it reads; None where it may read those of all ancestors."""
    source: Any
    """The function or class that the user wrote."""
    method: str | None = None
    """The method of the class that runs, where it is not the usual one."""
    system_dependency: str | None = None
    """The outside system that it depends on, by which its breaker is named."""

    def __post_init__(self) -> None:
        """Raises InvalidHandler for a `system_dependency` that cannot be the name of a breaker."""
        named = cast("object", self.system_dependency)
        if named is None or (isinstance(named, str) and 0 < len(named) <= DEPENDENCY_MAX and "\0" not in named):
            return
        raise InvalidHandler(
            f"{self.place}: system_dependency is {named!r}, and may be text of 1 to {DEPENDENCY_MAX} characters"
        )

    @property
    def place(self) -> str:
        """`module.name` of what the user wrote, for messages."""
        return place_of(self.source)

    @property
    def import_path(self) -> str:
        """`module:name`, by which another process finds the same handler with `load_handler`.

        Raises InvalidHandler where that name does not lead back to it.
        """
        module, name = getattr(self.source, "__module__", None), getattr(self.source, "__qualname__", None)
        path = f"{module}:{name}"
        try:
            found = import_object(path)
        except InvalidHandler:
            found = None
        if found is None or found is not self.source:
            raise InvalidHandler(
                f"handler {self.name!r} is to run in a process, which has to import it, but {path} does not lead to "
                "it: define it at the top level of a module"
            )
        return f"{path}#{self.method}" if self.method else path


def as_handler(obj: Any, name: str | None = None, method: str | None = None) -> Handler:
    """The record for a decorated function, a StepHandler class or a Handler; `name` overrides its own name.

    With a name, a function without decorators will do: it may take `context`. `method` is one of a class, to be called
    in place of `call`.
    Raises InvalidHandler where Tasker could not call it, so that it shows at start and not at the first step.
    """
    method = None if method == "call" else method
    if isinstance(obj, Handler):
        return obj if name is None else replace(obj, name=name)
    adapt = inspect.getattr_static(obj, ADAPT, None)
    if isinstance(adapt, staticmethod | FunctionType):
        handler = cast("Callable[..., Handler]", getattr(obj, ADAPT))(obj, name, method)
    elif isinstance(obj, type):
        handler = _class_handler(obj, name, method)
    elif method is not None:
        raise InvalidHandler(f'{place_of(obj)} is no class, so there is no method "{method}" of it to call')
    elif callable(obj):
        handler = _function_handler(obj, name)
    else:
        raise InvalidHandler(f"{obj!r} is not a handler: give a function with @step_handler or a StepHandler class")
    if handler.pool == "process":
        _ = handler.import_path
    return handler


@cache
def load_handler(import_path: str) -> Handler:
    """The handler at `module:name` or `module:name#method`, for processes that run handlers for others.

    Its name is not to be relied on.
    """
    path, _, method = import_path.partition("#")
    obj = import_object(path)
    return as_handler(obj, None if declaration_of(obj) or isinstance(obj, type) else path, method or None)


def import_object(import_path: str) -> Any:
    """The object at `module:name`; InvalidHandler where there is none."""
    module_name, _, attributes = import_path.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidHandler(f"cannot import {import_path}: {error}") from error
    return found


def _function_handler(function: Callable[..., Any], name: str | None) -> Handler:
    declaration = declaration_of(function) or Declaration()
    name = name or declaration.name
    if name is None:
        raise InvalidHandler(f'{place_of(function)} is not a handler: decorate it with @step_handler("its_name")')
    call, reads_declared = bind_function(function, declaration)
    needs = frozenset(step for step, _ in declaration.dependencies.values()) if reads_declared else None
    pool, call = _pooled(function, call, function, declaration.runs_in)
    return Handler(
        name=name,
        version=declaration.version,
        call=call,
        pool=pool,
        needs=needs,
        source=function,
        system_dependency=declaration.system_dependency,
    )


def _class_handler(cls: type, name: str | None, dispatched: str | None = None) -> Handler:
    if not issubclass(cls, StepHandler):
        raise InvalidHandler(f"{place_of(cls)} is not a handler: derive it from StepHandler")
    make = _constructor(cls)
    method: Any = cls.call
    if dispatched is not None:
        method = step_method(cls, dispatched)

        def call(context: StepContext) -> Any:
            return method(make(context), context)
    elif method is not StepHandler.call:

        def call(context: StepContext) -> Any:
            return make(context).call(context)
    else:
        method = getattr(cls, "process", None)
        if method is None:
            raise InvalidHandler(f"{place_of(cls)} defines neither call(self, context) nor process(self, task, …)")
        run = run_process_async if inspect.iscoroutinefunction(method) else run_process

        def call(context: StepContext) -> Any:
            return run(make(context), context)

    pool, pooled = _pooled(cls, call, method, cls.runs_in)
    name = name or cls.handler_name or cls.__name__
    return Handler(
        name=name,
        version=cls.handler_version,
        call=pooled,
        pool=pool,
        needs=None,
        source=cls,
        method=dispatched,
        system_dependency=cls.system_dependency,
    )


def _constructor(cls: type[StepHandler]) -> Callable[[StepContext], Any]:
    """Make a fresh instance; the constructor gets the configuration if it takes `config`."""
    parameters = list(inspect.signature(cls).parameters.values())
    required = [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD) and one.name != "config"
    ]
    if required:
        raise InvalidHandler(
            f"{place_of(cls)}: nothing gives its constructor {', '.join(required)}: it may take `config` or nothing"
        )
    kind: Any = cls
    if any(one.name == "config" for one in parameters):
        return lambda context: kind(config=context.configuration)
    return lambda context: kind()


def _pooled(
    source: Any, call: Callable[[StepContext], Any], code: Callable[..., Any], runs_in: Pool | None
) -> tuple[Pool, Callable[[StepContext], Any]]:
    """Where it runs, and `call` as that pool calls it: a coroutine function on the loop, a plain one elsewhere."""
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise InvalidHandler(f"{place_of(source)} is a generator: a handler returns its result, it does not yield")
    if runs_in is not None and runs_in not in POOLS:
        raise InvalidHandler(f"{place_of(source)}: runs_in is {runs_in!r}, and may be one of {', '.join(POOLS)}")
    is_async = _is_async(code)
    pool = runs_in or ("async" if is_async else "thread")
    if is_async and pool != "async":
        return pool, lambda context: asyncio.run(cast("Coroutine[Any, Any, Any]", call(context)))
    if not is_async and pool == "async":

        async def on_the_loop(context: StepContext) -> Any:
            result = call(context)
            # A plain wrapper around an async function returns what has to be awaited.
            return await result if inspect.isawaitable(result) else result

        return pool, on_the_loop
    return pool, call


def _is_async(code: Callable[..., Any]) -> bool:
    is_coroutine = inspect.iscoroutinefunction
    return is_coroutine(code) or is_coroutine(vars(type(code)).get("__call__"))
