"""What users write handlers against, and what a worker needs to call them."""

from tasker.handlers.batch import Batch, Batches, BatchResults
from tasker.handlers.context import StepContext
from tasker.handlers.decision import Decision
from tasker.handlers.discover import discover
from tasker.handlers.events import DomainEventPublisher, on_event
from tasker.handlers.failures import encode_error, outcome_of_error
from tasker.handlers.functional import depends_on, inputs, step_handler
from tasker.handlers.handler import Handler, as_handler, load_handler
from tasker.handlers.outcomes import classify, outcome_of_result
from tasker.handlers.resolution import Registry, Resolver
from tasker.handlers.results import encode_result
from tasker.handlers.step import Pool, StepHandler

__all__ = [
    "Batch",
    "BatchResults",
    "Batches",
    "Decision",
    "DomainEventPublisher",
    "Handler",
    "Pool",
    "Registry",
    "Resolver",
    "StepContext",
    "StepHandler",
    "as_handler",
    "classify",
    "depends_on",
    "discover",
    "encode_error",
    "encode_result",
    "inputs",
    "load_handler",
    "on_event",
    "outcome_of_error",
    "outcome_of_result",
    "step_handler",
]
