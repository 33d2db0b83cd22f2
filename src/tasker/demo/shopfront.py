"""The example that the demo plays with: found, imported, and given a shop whose deeds can be audited."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import tasker
from tasker.model.errors import TaskerError
from tasker.model.template import Template
from tasker.templates import load_file

HANDLERS = "ecommerce.handlers"
_PACKAGE = Path(tasker.__file__).parent
_FOLDERS = (_PACKAGE / "_examples", _PACKAGE.parents[1] / "examples")
"""Where a wheel carries the examples, and where a checkout of the project has them."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout of the crowd. `step` meets `strikes` passing faults; `error_code` is what it must end with."""

    checkout_id: str
    context: dict[str, Any]
    step: str | None
    strikes: int
    error_code: str | None


def examples_folder() -> Path:
    """The folder that holds the package `ecommerce`. Raises TaskerError where there is none."""
    for folder in _FOLDERS:
        if (folder / "ecommerce" / "workflow.yaml").is_file():
            return folder
    raise TaskerError(
        f"the demo's example is missing: there is no ecommerce/workflow.yaml in {' or '.join(map(str, _FOLDERS))}. "
        "Install tasker-engine again, or run the demo in a checkout of the project"
    )


def open_examples() -> None:
    """Lets this process import the example."""
    folder = str(examples_folder())
    if folder not in sys.path:
        sys.path.insert(0, folder)


def workflow(namespace: str) -> Template:
    """The checkout with the demo's short waits, in a namespace of its own."""
    example: Any = import_module("ecommerce")
    return replace(load_file(example.WORKFLOW, environment="demo").template, namespace=namespace)


def one_checkout() -> Checkout:
    """A checkout whose gateway takes the money and does not answer, the first time."""
    samples: Any = import_module("ecommerce.samples")
    drill = {"step": "process_payment", "fault": "timeout", "times": 1}
    context = {**samples.sample_checkout(), "checkout_id": "checkout", "drill": drill}
    return Checkout("checkout", context, "process_payment", 1, None)


def crowd(seed: int, count: int) -> list[Checkout]:
    """Checkouts of which 15 % meet a passing fault and 2 % a permanent one; the same ones for the same seed."""
    faults: Any = import_module("ecommerce.faults")
    return [
        Checkout(
            made.checkout_id,
            made.context,
            made.drill.step if made.drill else None,
            made.drill.times if made.drill else 0,
            made.error_code,
        )
        for made in faults.checkouts(seed, count)
    ]


@contextmanager
def shop(ledger: Path, *, count: int, latency_s: float) -> Generator[Any]:
    """The shop that this process's handlers call, with stock for `count` checkouts; each call takes `latency_s`."""
    services: Any = import_module("ecommerce.services")
    made = services.Shop(ledger, latency_s=latency_s)
    made.restock(3 * count)
    services.use_shop(made)
    try:
        yield made
    finally:
        services.use_shop(None)


async def plain_checkout(of_shop: Any, checkout: Checkout) -> None:
    """The same checkout as one function, which stops at its first error and raises it."""
    plain: Any = import_module("ecommerce.plain")
    await plain.checkout(of_shop, checkout.checkout_id, checkout.context)
