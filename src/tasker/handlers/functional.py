"""Handlers as functions: `@step_handler`, `@depends_on`, `@inputs`.

The decorators only write down what they were told and leave the function as it is, so that a unit test calls it with
plain values. What they wrote is turned into a call when the handler is registered; the order of the decorators does
not matter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tasker.handlers.context import StepContext
from tasker.handlers.reads import reads_only_declared
from tasker.handlers.step import Pool
from tasker.model.errors import InvalidHandler, StepValidationError

if TYPE_CHECKING:
    from pydantic import ValidationError

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])
Reader = Callable[[StepContext], Any]

MARK = "__tasker_handler__"
CONTEXT_NAMES = ("context", "_context")
MEMBER_NAMES = ("batch", "item", "item_index")
"""Parameters that a member of a batch gets from its context."""
MISSING: Any = object()


@dataclass(slots=True)
class Declaration:
    """What the decorators of one function said."""

    name: str | None = None
    version: str = "1.0.0"
    runs_in: Pool | None = None
    system_dependency: str | None = None
    dependencies: dict[str, tuple[str, Any]] = field(default_factory=dict[str, tuple[str, Any]])
    """By parameter: the step whose result it gets, and the model to make of it, or None."""
    input_names: list[str] = field(default_factory=list[str])
    input_model: Any = None


def step_handler(
    name: str, version: str = "1.0.0", *, runs_in: Pool | None = None, system_dependency: str | None = None
) -> Callable[[AnyFunction], AnyFunction]:
    """Make a function the handler `name`.

    `runs_in` is "async" (on the event loop: what an async function does by itself, and what a plain one may do if it
    never waits), "thread" (what a plain function does by itself) or "process" (for work that keeps a core busy).
    `system_dependency` is the outside system that it depends on, by which its breaker is named.
    """
    if not isinstance(cast(object, name), str) or not name:
        raise InvalidHandler('@step_handler needs the handler\'s name: @step_handler("charge_card")')

    def decorate(function: AnyFunction) -> AnyFunction:
        declaration = _declaration_for(function)
        declaration.name, declaration.version, declaration.runs_in = name, version, runs_in
        declaration.system_dependency = system_dependency
        return function

    return decorate


def depends_on(**steps: str | tuple[str, Any]) -> Callable[[AnyFunction], AnyFunction]:
    """Pass results of steps before this one: `@depends_on(cart="validate_cart")`, or `cart=("validate_cart", Cart)`.

    A result that is missing gives the parameter its default; without a default the step fails for good.
    """
    dependencies = {parameter: _step_and_model(parameter, wanted) for parameter, wanted in steps.items()}

    def decorate(function: AnyFunction) -> AnyFunction:
        declared = _declaration_for(function).dependencies
        for parameter, wanted in dependencies.items():
            if declared.setdefault(parameter, wanted) != wanted:
                raise InvalidHandler(f"two @depends_on of {place_of(function)} give the parameter {parameter!r}")
        return function

    return decorate


def inputs(*wanted: Any) -> Callable[[AnyFunction], AnyFunction]:
    """Pass fields of the task's input: `@inputs("email", "token")`, or the parameter `inputs`: `@inputs(Checkout)`.

    A field that is missing gives the parameter its default; without a default the step fails for good. A model (of
    pydantic, a dataclass, a TypedDict) is made of the whole input by pydantic.
    """
    names = [item for item in wanted if isinstance(item, str)]
    models = [item for item in wanted if not isinstance(item, str)]
    if not wanted or len(models) > 1 or (models and names):
        raise InvalidHandler('@inputs takes names of input fields, @inputs("email"), or one model, @inputs(Checkout)')

    def decorate(function: AnyFunction) -> AnyFunction:
        declaration = _declaration_for(function)
        declaration.input_names.extend(name for name in names if name not in declaration.input_names)
        if models:
            if declaration.input_model not in (None, models[0]):
                raise InvalidHandler(f"{place_of(function)} has two @inputs with a model: put both into one model")
            declaration.input_model = models[0]
        return function

    return decorate


def declaration_of(obj: Any) -> Declaration | None:
    """What the decorators said about this function; None where there were none."""
    found = getattr(obj, MARK, None)
    return found if isinstance(found, Declaration) else None


def place_of(obj: Any) -> str:
    """`module.name` of a function or class, for messages."""
    name = getattr(obj, "__qualname__", None)
    return f"{obj.__module__}.{name}" if name else repr(obj)


def bind_function(function: Callable[..., Any], declaration: Declaration) -> tuple[Callable[[StepContext], Any], bool]:
    """The function as a callable of the context, and whether it reads nothing but the dependencies it declares.

    Raises InvalidHandler where the parameters and the declaration do not fit.
    """
    parameters = _named_parameters(function)
    readers = _readers(declaration)
    takes_more = any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values())
    context_name = next((name for name in CONTEXT_NAMES if name in parameters and name not in readers), None)
    if context_name is not None:
        readers[context_name] = (_the_context, "the context")
    for name in MEMBER_NAMES:
        if name in parameters and name not in readers:
            readers[name] = (_member_reader(name), f"{name!r}, which only members of batches have")
    _check_fit(function, parameters, readers, takes_more)
    plan = tuple(
        (name, read, name in parameters and parameters[name].default is not inspect.Parameter.empty, label)
        for name, (read, label) in readers.items()
    )

    def call(context: StepContext) -> Any:
        arguments: dict[str, Any] = {}
        missing: list[str] | None = None
        for name, read, is_optional, label in plan:
            value = read(context)
            if value is not MISSING:
                arguments[name] = value
            elif not is_optional:
                missing = [*(missing or ()), label]
        if missing:
            raise _missing_error(context, missing)
        return function(**arguments)

    return call, context_name is None or reads_only_declared(function, context_name)


def _declaration_for(function: Any) -> Declaration:
    if isinstance(function, type) or not callable(function):
        raise InvalidHandler(f"the decorators are for functions, and {function!r} is not one: derive from StepHandler")
    declaration = declaration_of(function)
    if declaration is None:
        declaration = Declaration()
        setattr(function, MARK, declaration)
    return declaration


def _step_and_model(parameter: str, wanted: Any) -> tuple[str, Any]:
    step, model = cast("tuple[Any, Any]", wanted) if isinstance(wanted, tuple) else (wanted, None)
    if not isinstance(step, str):
        raise InvalidHandler(f"@depends_on({parameter}=…) takes the name of a step, or (name, model): got {wanted!r}")
    return step, model


def _named_parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters.values()
    for one in parameters:
        if one.kind is one.POSITIONAL_ONLY and one.default is one.empty:
            raise InvalidHandler(f"{place_of(function)}: the parameter {one.name!r} cannot be passed by name")
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {one.name: one for one in parameters if one.kind in kinds}


def _check_fit(
    function: Any, parameters: dict[str, inspect.Parameter], readers: dict[str, tuple[Reader, str]], takes_more: bool
) -> None:
    place = place_of(function)
    for name, (_, label) in readers.items():
        if name not in parameters and not takes_more:
            raise InvalidHandler(
                f"{place} is given {label}, but has no parameter {name!r}: add it, or drop the decorator"
            )
    for name, parameter in parameters.items():
        if name not in readers and parameter.default is parameter.empty:
            raise InvalidHandler(
                f"{place}: nothing gives the parameter {name!r}: "
                f'add @depends_on({name}="a_step"), @inputs("{name}"), or a default'
            )


def _readers(declaration: Declaration) -> dict[str, tuple[Reader, str]]:
    """By parameter: what reads its value from a context, and what to call it in messages."""
    readers: dict[str, tuple[Reader, str]] = {}
    for parameter, (step, model) in declaration.dependencies.items():
        read = _result_reader(step) if model is None else _result_model_reader(step, model)
        readers[parameter] = (read, f"the result of step {step!r}")
    wanted = [(key, _input_reader(key), f"input {key!r}") for key in declaration.input_names]
    if declaration.input_model is not None:
        wanted.append(("inputs", _input_model_reader(declaration.input_model), "the input"))
    for parameter, read, label in wanted:
        if parameter in readers:
            raise InvalidHandler(f"@depends_on and @inputs both give the parameter {parameter!r}: rename one")
        readers[parameter] = (read, label)
    return readers


def _the_context(context: StepContext) -> StepContext:
    return context


def _member_reader(name: str) -> Reader:
    def read(context: StepContext) -> Any:
        value = getattr(context, name)
        return MISSING if value is None and not (name == "item" and context.item_index is not None) else value

    return read


def _input_reader(key: str) -> Reader:
    return lambda context: context.inputs.get(key, MISSING)


def _result_reader(step: str) -> Reader:
    def read(context: StepContext) -> Any:
        value = context.get_dependency_result(step)
        return MISSING if value is None else value

    return read


def _result_model_reader(step: str, model: Any) -> Reader:
    validate = _validator(model, f"the result of step {step!r}")

    def read(context: StepContext) -> Any:
        text = context.get_dependency_result_json(step)
        return MISSING if text is None or text == "null" else validate(text)

    return read


def _input_model_reader(model: Any) -> Reader:
    validate = _validator(model, "the input")
    return lambda context: validate(context.inputs_json)


def _validator(model: Any, what: str) -> Callable[[str], Any]:
    from pydantic import TypeAdapter, ValidationError

    validate_json = TypeAdapter(model).validate_json

    def validate(text: str) -> Any:
        try:
            return validate_json(text)
        except ValidationError as error:
            raise _unfit_error(what, model, error) from error

    return validate


def _unfit_error(what: str, model: Any, error: ValidationError) -> StepValidationError:
    # Without the values: they are the customers', and the error is shown to more people than the input is.
    problems = [
        {"field": ".".join(str(part) for part in one["loc"]) or "(all of it)", "problem": one["msg"]}
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    listed = "; ".join(f"{one['field']}: {one['problem']}" for one in problems)
    name = getattr(model, "__name__", str(model))
    return StepValidationError(
        f"{what} does not fit {name}: {listed}", error_code="invalid_input", metadata={"fields": problems}
    )


def _missing_error(context: StepContext, missing: list[str]) -> StepValidationError:
    return StepValidationError(
        f"step {context.step_name!r} lacks {', '.join(missing)}: submit the task with it, "
        "or give the handler's parameter a default",
        error_code="missing_input",
        metadata={"missing": missing},
    )
