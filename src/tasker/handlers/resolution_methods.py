"""Which methods of a handler class a template may name.

Public methods that take the context alone and were written in a handler class, or in a class of the same package.
Everything else is refused before it is touched: private and dunder names, properties (asking for one would run it),
static and class methods, functions of other modules that the class holds, what Tasker's own classes and those of other
libraries bring, and what `__getattr__` makes up.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

from tasker.model.errors import InvalidHandler

_OURS = ("tasker", "tasker_core")


def step_method(cls: type, name: str) -> Callable[..., Any]:
    """The method as a plain function of the instance and the context. Raises InvalidHandler, which says why not."""
    problem = _problem(cls, name)
    if problem:
        choice = ", ".join(step_methods(cls)) or "none but call"
        place = f"{cls.__module__}.{cls.__qualname__}"
        raise InvalidHandler(f'{place} cannot be called by its method "{name}", which {problem}. It has: {choice}')
    return cast("Callable[..., Any]", inspect.getattr_static(cls, name))


def step_methods(source: Any) -> list[str]:
    """The names of the methods of a class that a template may give, `call` left out; none of what is no class."""
    if not isinstance(source, type):
        return []
    return [name for name in dir(source) if name != "call" and not _problem(source, name)]


def _is_users(cls: type, owner: type) -> bool:
    """Whether a class that gives `cls` a method is a handler class, or comes from the same package."""
    home = owner.__module__.partition(".")[0]
    return home not in _OURS and (_is_handler(owner) or home == cls.__module__.partition(".")[0])


def _is_handler(owner: type) -> bool:
    return any(one.__module__.partition(".")[0] in _OURS for one in owner.__mro__)


def _problem(cls: type, name: str) -> str | None:
    if not name.isidentifier() or name.startswith("_"):
        return "is not the name of a public method"
    method = inspect.getattr_static(cls, name, None)
    if method is None:
        return "it does not have"
    if not isinstance(method, FunctionType):
        return "is no plain method"
    owner = next(one for one in cls.__mro__ if name in vars(one))
    if not _is_users(cls, owner) or method.__module__ != owner.__module__:
        return "was not written for steps"
    try:
        inspect.signature(method).bind("self", "context")
    except TypeError:
        return "does not take the context alone"
    return None
