"""Handlers that call HTTP APIs: the class `ApiHandler` and the decorator `@api_handler`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache, wraps
from typing import Any, ClassVar, TypeVar, cast

import httpx2

from tasker.handlers.api_call import ApiRules
from tasker.handlers.api_methods import Api, AsyncApi
from tasker.handlers.api_response import ApiResponse
from tasker.handlers.context import StepContext
from tasker.handlers.egress import egress_policy
from tasker.handlers.functional import CONTEXT_NAMES, place_of, step_handler
from tasker.handlers.step import Pool, StepHandler
from tasker.model.errors import ConfigurationError, InvalidHandler

__all__ = ["Api", "ApiHandler", "ApiResponse", "AsyncApi", "api_handler", "api_rules"]

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])
TIMEOUT_S = 30.0
RESPONSE_BYTES_MAX = 10_000_000
_PARAMETER = "api"


class ApiHandler(StepHandler):
    """A handler that calls an HTTP API: `await self.async_api(context).post("/charges", json=…)`.

    A call returns the response, or raises what the step fails with: see docs/handlers.md for which statuses retry. What
    is set below holds for all calls of the class; set it on the class, because it is trusted.
    """

    base_url: ClassVar[str] = ""
    """Where paths are called. Trusted: it may lie in a private network. All other URLs are held against the guard."""
    timeout_s: ClassVar[float] = TIMEOUT_S
    """Seconds for a whole call, redirects and body included; never more than the step has left."""
    headers: ClassVar[Mapping[str, str]] = {}
    """Sent with each call to the host of `base_url` (with every call where there is none)."""
    accepted_statuses: ClassVar[Collection[int]] = ()
    """Statuses that are a success, besides 2xx."""
    retried_statuses: ClassVar[Collection[int]] = ()
    """Statuses that are tried again, besides those that always are."""
    allowed_hosts: ClassVar[Collection[str]] = ()
    """Names, addresses and networks outside the public internet that URLs from data may lead to."""
    follows_redirects: ClassVar[bool] = False
    """Whether redirects are followed, five at most; each is held against the guard."""
    response_bytes_max: ClassVar[int] = RESPONSE_BYTES_MAX
    """The largest body that a response may have, unpacked."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _rules_of(cls)

    def api(self, context: StepContext) -> Api:
        """The calls of plain handlers, which run in threads."""
        return Api(self._rules, context)

    def async_api(self, context: StepContext) -> AsyncApi:
        """The calls of async handlers."""
        return AsyncApi(self._rules, context)

    @property
    def _rules(self) -> ApiRules:
        shadowed = sorted(_NAMES & vars(self).keys())
        if shadowed:
            raise ConfigurationError(
                f"{place_of(type(self))} sets {', '.join(shadowed)} on its instance, where it might come from data: "
                "set it on the class, or call absolute URLs"
            )
        return _rules_of(type(self))


_NAMES = frozenset(name for name in ApiHandler.__annotations__ if not name.startswith("_"))


def api_handler(
    name: str,
    base_url: str = "",
    *,
    version: str = "1.0.0",
    timeout_s: float = TIMEOUT_S,
    headers: Mapping[str, str] | None = None,
    accepted_statuses: Collection[int] = (),
    retried_statuses: Collection[int] = (),
    allowed_hosts: Collection[str] = (),
    follows_redirects: bool = False,
    response_bytes_max: int = RESPONSE_BYTES_MAX,
    runs_in: Pool | None = None,
) -> Callable[[AnyFunction], AnyFunction]:
    """Make a function the handler `name`, and pass it `api`: an AsyncApi for an async function, else an Api.

    The options are those of ApiHandler. A test that calls the function itself passes an `api` of its own, or `context`.
    """
    rules = api_rules(
        f"@api_handler({name!r})",
        base_url,
        timeout_s,
        tuple((headers or {}).items()),
        frozenset(accepted_statuses),
        frozenset(retried_statuses),
        _texts(allowed_hosts),
        follows_redirects,
        response_bytes_max,
    )

    def decorate(function: AnyFunction) -> AnyFunction:
        decorated = step_handler(name, version, runs_in=runs_in)(function)
        return cast("AnyFunction", _with_api(decorated, rules))

    return decorate


def _with_api(function: Callable[..., Any], rules: ApiRules) -> Callable[..., Any]:
    """The function as the engine sees it: it takes no `api`, and the context in any case."""
    signature = inspect.signature(function)
    if _PARAMETER not in signature.parameters:
        raise InvalidHandler(
            f"{place_of(function)} is given an {_PARAMETER}, but has no parameter {_PARAMETER!r}: add it"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise InvalidHandler(f"{place_of(function)} is a generator: a handler returns its result, it does not yield")
    is_async = inspect.iscoroutinefunction(function)
    own_context = next((one for one in CONTEXT_NAMES if one in signature.parameters), None)

    def completed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        context = kwargs.pop("_context", None) if own_context is None else kwargs.get(own_context)
        if _PARAMETER in signature.bind_partial(*args, **kwargs).arguments:
            return kwargs
        if context is None:
            raise TypeError(f"{place_of(function)} was called without a worker: pass it api=… yourself")
        return {**kwargs, _PARAMETER: AsyncApi(rules, context) if is_async else Api(rules, context)}

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **completed(args, kwargs))

    @wraps(function)
    async def async_call(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **completed(args, kwargs))

    wrapper = async_call if is_async else call
    vars(wrapper)["__signature__"] = _without_api(signature, adds_context=own_context is None)
    return wrapper


def _without_api(signature: inspect.Signature, *, adds_context: bool) -> inspect.Signature:
    shown = [one for one in signature.parameters.values() if one.name != _PARAMETER]
    if adds_context:
        after = next((place for place, one in enumerate(shown) if one.kind is one.VAR_KEYWORD), len(shown))
        shown.insert(after, inspect.Parameter("_context", inspect.Parameter.KEYWORD_ONLY))
    return signature.replace(parameters=shown)


def _rules_of(cls: type[ApiHandler]) -> ApiRules:
    return api_rules(
        place_of(cls),
        cls.base_url,
        cls.timeout_s,
        tuple(cls.headers.items()),
        frozenset(cls.accepted_statuses),
        frozenset(cls.retried_statuses),
        _texts(cls.allowed_hosts),
        cls.follows_redirects,
        cls.response_bytes_max,
    )


def _texts(hosts: Collection[str]) -> tuple[str, ...]:
    """One text is one host, not a collection of letters."""
    return (hosts,) if isinstance(hosts, str) else tuple(hosts)


@lru_cache(maxsize=1024)
def api_rules(
    place: str,
    base_url: str,
    timeout_s: float,
    headers: tuple[tuple[str, str], ...],
    accepted_statuses: frozenset[int],
    retried_statuses: frozenset[int],
    allowed_hosts: tuple[str, ...],
    follows_redirects: bool,
    response_bytes_max: int,
) -> ApiRules:
    """The rules of `Api` and `AsyncApi`, checked once, when a handler is defined; `place` says whose they are.

    Whoever calls this vouches for `base_url`: it is trusted. Raises InvalidHandler, which says what is wrong.
    """
    if not timeout_s > 0 or not response_bytes_max > 0:
        raise InvalidHandler(f"{place}: timeout_s and response_bytes_max must be more than 0")
    try:
        httpx2.Headers(headers)
    except (TypeError, UnicodeError) as error:
        raise InvalidHandler(f"{place}: headers are text in ASCII, and one is not: {error}") from None
    if both := accepted_statuses & retried_statuses:
        raise InvalidHandler(f"{place}: {sorted(both)} cannot be both accepted and retried")
    return ApiRules(
        base_url=_base_url(place, base_url),
        timeout_s=timeout_s,
        headers=headers,
        accepted_statuses=accepted_statuses,
        retried_statuses=retried_statuses,
        egress=egress_policy(allowed_hosts),
        follows_redirects=follows_redirects,
        response_bytes_max=response_bytes_max,
    )


def _base_url(place: str, text: str) -> httpx2.URL | None:
    if not text:
        return None
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise InvalidHandler(f"{place}: base_url {text!r} is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise InvalidHandler(
            f'{place}: base_url is {text!r}: give scheme, host and path, such as "https://api.example.com/v1"'
        )
    return url
