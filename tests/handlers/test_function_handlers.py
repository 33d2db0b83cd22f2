"""Handlers as functions: what they are given, and what is refused."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator

from tasker.handlers import StepContext, as_handler, depends_on, inputs, step_handler
from tasker.model.errors import InvalidHandler, PermanentError, StepValidationError


class Checkout(BaseModel):
    email: str
    quantity: int = Field(gt=0, alias="qty")
    note: str = "none"


class Cart(BaseModel):
    total: float


@dataclass
class Plain:
    email: str


class Guarded(BaseModel):
    email: str

    @field_validator("email")
    @classmethod
    def not_blocked(cls, value: str) -> str:
        raise PermanentError("blocked", error_code="BLOCKED")


def call(handler: Any, context: StepContext) -> Any:
    made = as_handler(handler)
    result = made.call(context)
    return asyncio.run(result) if made.pool == "async" else result


def test_a_decorated_function_is_still_a_function():
    """A unit test calls the function with plain values."""

    @step_handler("charge")
    @depends_on(cart="validate")
    @inputs("token")
    def charge(cart, token):
        return cart, token

    assert charge({"total": 1}, token="t") == ({"total": 1}, "t")


def test_parameters_get_results_inputs_and_the_context(make_context):
    """Each parameter gets what its decorator names; the context comes only where a parameter asks for it."""

    @step_handler("charge", version="2.1.0")
    @depends_on(cart="validate")
    @depends_on(stock="reserve")
    @inputs("token", "email")
    async def charge(cart, stock, token, email, context):
        return cart, stock, token, email, context

    context = make_context({"token": "t", "email": None}, {"validate": {"total": 1}, "reserve": {"result": 2}})
    handler = as_handler(charge)

    assert call(charge, context) == ({"total": 1}, {"result": 2}, "t", None, context)
    assert (handler.name, handler.version, handler.pool, handler.source) == ("charge", "2.1.0", "async", charge)


def test_the_order_of_decorators_does_not_matter(make_context):
    """`@inputs` and `@depends_on` work on either side of `@step_handler`."""

    @depends_on(cart="validate")
    @inputs("token")
    @step_handler("charge")
    def charge(cart, token, _context):
        return cart, token, _context.attempt

    assert call(charge, make_context({"token": "t"}, {"validate": {"a": 1}})) == ({"a": 1}, "t", 1)


def test_missing_inputs_are_named_all_at_once(make_context):
    """What is missing and has no default ends the step for good, in one error that names everything."""

    @step_handler("charge")
    @depends_on(cart="validate", stock="reserve")
    @inputs("token", "email", "note")
    def charge(cart, token, email, stock=None, note="none"):
        raise AssertionError

    with pytest.raises(StepValidationError, match="'charge' lacks the result of step 'validate', input 'token', input"):
        call(charge, make_context({}, {"validate": None}))


def test_a_default_applies_to_what_is_missing(make_context):
    """A parameter's default stands for a missing input or result; a null that was given is given on."""

    @step_handler("charge")
    @depends_on(cart="validate")
    @inputs("note", "tip")
    def charge(cart=None, note="none", tip=0):
        return cart, note, tip

    assert call(charge, make_context({"tip": None})) == (None, "none", None)


def test_inputs_as_a_model(make_context):
    """The whole input becomes the model: aliases and defaults work."""

    @step_handler("charge")
    @inputs(Checkout)
    def charge(inputs):
        return inputs

    assert call(charge, make_context({"email": "e", "qty": 2, "more": 1})) == Checkout(email="e", qty=2)


def test_an_input_that_does_not_fit_lists_every_field(make_context):
    """All wrong fields are named in one permanent error, without the customer's values."""

    @step_handler("charge")
    @inputs(Checkout)
    def charge(inputs):
        raise AssertionError

    with pytest.raises(StepValidationError, match="does not fit Checkout") as caught:
        call(charge, make_context({"qty": -77123}))

    assert [one["field"] for one in caught.value.metadata["fields"]] == ["email", "qty"]
    assert "email: Field required; qty: Input should be greater than 0" in str(caught.value)
    assert "77123" not in str(caught.value) + str(caught.value.metadata)
    assert caught.value.retryable is False


def test_a_result_as_a_model(make_context):
    """A result may be taken as a model; one that does not fit is a permanent error that names the step."""

    @step_handler("charge")
    @depends_on(cart=("validate", Cart))
    def charge(cart):
        return cart

    assert call(charge, make_context(results={"validate": {"total": 2}})) == Cart(total=2)
    with pytest.raises(StepValidationError, match="the result of step 'validate' does not fit Cart: total: Field req"):
        call(charge, make_context(results={"validate": {}}))


def test_other_models_than_pydantics(make_context):
    """A dataclass will do as a model."""

    @step_handler("charge")
    @inputs(Plain)
    def charge(inputs):
        return inputs

    assert call(charge, make_context({"email": "e"})) == Plain("e")


def test_a_models_own_error_stays_what_it_is(make_context):
    """A PermanentError raised by a validator reaches the engine with its code."""

    @step_handler("charge")
    @inputs(Guarded)
    def charge(inputs):
        raise AssertionError

    with pytest.raises(PermanentError, match="blocked"):
        call(charge, make_context({"email": "e"}))


def test_a_function_may_take_everything(make_context):
    """`**more` takes what is declared and has no parameter of its own."""

    @step_handler("charge")
    @inputs("a", "b")
    def charge(a, **more):
        return a, more

    assert call(charge, make_context({"a": 1, "b": 2})) == (1, {"b": 2})


def test_where_a_function_runs(make_context):
    """Async functions run on the loop, plain ones in threads, and `runs_in` overrules it, for both kinds."""

    @step_handler("a")
    def plain():
        return "plain"

    @step_handler("b", runs_in="async")
    def quick():
        return "quick"

    @step_handler("c", runs_in="thread")
    async def slow():
        return "slow"

    assert as_handler(plain).pool == "thread"
    assert as_handler(quick).pool == "async"
    assert as_handler(slow).pool == "thread"
    assert [call(one, make_context()) for one in (plain, quick, slow)] == ["plain", "quick", "slow"]


def test_a_wrapped_async_function_can_run_on_the_loop(make_context):
    """A plain wrapper around an async function is awaited where it says that it runs on the loop."""

    async def inner(token):
        return token

    @step_handler("a", runs_in="async")
    @inputs("token")
    @functools.wraps(inner)
    def outer(**arguments):
        return inner(**arguments)

    assert call(outer, make_context({"token": "t"})) == "t"


def read_by_method(context):
    return context.get_dependency_result("far")


def handed_on(context):
    return read_by_method(context)


def harmless(cart, context):
    context.heartbeat()
    return context.idempotency_key, context.get_input("a"), [context.attempt for _ in cart]


def without_context(cart):
    return cart


@pytest.mark.parametrize(
    ("function", "is_known"),
    [(harmless, True), (without_context, True), (read_by_method, False), (handed_on, False)],
)
def test_which_results_a_function_needs_is_known_or_all(function, is_known):
    """A function that could read more results than it declares is given all; the others get what they declare."""
    if "cart" in function.__code__.co_varnames:
        function = depends_on(cart="validate")(function)

    needs = as_handler(function, "charge").needs

    assert needs == (frozenset({"validate"}) if is_known else None)


def test_a_function_without_its_source_needs_all():
    """What cannot be read cannot be known to read nothing else."""
    scope: dict[str, Any] = {}
    exec("def charge(context): return context.attempt", scope)  # noqa: S102

    assert as_handler(scope["charge"], "charge").needs is None


def a_generator(context):
    yield 1


def positional_only(a, /):
    return a


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: as_handler(step_handler("x")(lambda cart: cart)), "nothing gives the parameter 'cart'"),
        (lambda: as_handler(step_handler("x")(inputs("a")(lambda: 1))), "is given input 'a', but has no parameter 'a'"),
        (lambda: as_handler(step_handler("x")(inputs(Cart)(lambda cart: 1))), "has no parameter 'inputs'"),
        (lambda: as_handler(inputs("a")(lambda a: 1)), "decorate it with @step_handler"),
        (lambda: as_handler(step_handler("x")(a_generator)), "is a generator"),
        (lambda: as_handler(step_handler("x")(inputs("a")(positional_only))), "cannot be passed by name"),
        (lambda: as_handler(step_handler("x", runs_in="gpu")(lambda: 1)), "runs_in is 'gpu'"),
        (lambda: as_handler(depends_on(a="s")(inputs("a")(lambda a: 1)), "x"), "both give the parameter 'a'"),
        (lambda: depends_on(a="s")(depends_on(a="t")(lambda a: 1)), "two @depends_on"),
        (lambda: depends_on(a=Cart), "takes the name of a step"),
        (lambda: inputs(Cart, "a"), "names of input fields"),
        (lambda: inputs(), "names of input fields"),
        (lambda: step_handler(lambda: 1), "needs the handler's name"),
        (lambda: step_handler("x")(Cart), "are for functions"),
        (lambda: as_handler(42), "42 is not a handler"),
    ],
)
def test_a_handler_that_could_not_be_called_is_refused_at_start(make, message):
    """What would fail at every step fails when the handler is made, and says what to change."""
    with pytest.raises(InvalidHandler, match=message):
        make()


def test_a_handler_for_processes_must_be_found_by_its_name():
    """A handler that runs in a process of its own is refused where another process could not import it."""

    @step_handler("inner", runs_in="process")
    def inner():
        return None

    with pytest.raises(InvalidHandler, match="define it at the top level of a module"):
        as_handler(inner)
