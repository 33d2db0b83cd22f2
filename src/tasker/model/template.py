"""A template: the DAG of steps that a task runs, as one immutable record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tasker.model.json import Json, JsonObject

Backoff = Literal["none", "linear", "exponential", "fibonacci"]
StepType = Literal["standard", "decision", "deferred_convergence", "batchable", "batch_worker"]
FailureStrategy = Literal["continue_on_failure", "fail_fast", "isolate"]
StalenessAction = Literal["dlq", "error", "none"]
EventCondition = Literal["success", "failure", "retryable_failure", "permanent_failure", "always"]
DeliveryMode = Literal["durable", "fast", "broadcast"]
IdentityStrategy = Literal["always_unique", "strict", "caller_provided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed step runs again. `max_attempts` counts executions, the first one included; times in ms."""

    retryable: bool = True
    max_attempts: int = 3
    backoff: Backoff = "exponential"
    backoff_base_ms: int = 1000
    max_backoff_ms: int = 30_000
    jitter: float = 0.1
    """The share of the wait that chance may add: 0.1 is up to 10 %. It never shortens a wait."""


BY_NAME, BY_PATH = "explicit_mapping", "class_lookup"
"""The resolvers that every process has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerRef:
    """Which handler runs a step, and the configuration it reads."""

    callable: str
    method: str | None = None
    """The method of a handler class to call; None and "call" are the same."""
    resolver: str | None = None
    """The one resolver to ask; None: all in their order."""
    initialization: JsonObject = field(default_factory=dict[str, Json])

    @property
    def calls_method(self) -> bool:
        """True where another method than `call` is to run."""
        return self.method not in (None, "call")

    @property
    def key(self) -> str:
        """`callable#method@resolver`, as far as they are said: what a worker must have to be handed the step."""
        method = f"#{self.method}" if self.calls_method else ""
        resolver = "" if self.resolver in (None, BY_NAME, BY_PATH) else f"@{self.resolver}"
        return f"{self.callable}{method}{resolver}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """How a step that runs many times does so: `parallelism` at once, and what a failure of one means for the others.

    `batch_size` (rows) and `cursor_field` are for the handlers that cut the work and do it.
    """

    parallelism: int = 10
    failure_strategy: FailureStrategy = "continue_on_failure"
    batch_size: int = 1000
    cursor_field: str = "id"
    worker_template: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDeclaration:
    """A domain event that a step publishes: of which outcomes it tells, how it travels, and who makes its payload.

    `failure` is each attempt that failed: `retryable_failure` where the step is tried again, `permanent_failure` where
    it is not. `durable` events go through the outbox, `fast` ones are handed over in the worker's process alone, at
    best, `broadcast` ones go both ways. `schema` is a JSON Schema of the payload.
    """

    name: str
    description: str | None = None
    schema: JsonObject | None = None
    condition: EventCondition = "success"
    delivery_mode: DeliveryMode = "durable"
    publisher: str | None = None
    """The publisher that makes the payload; None: it is the step's result, or its error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One node of the DAG. `dependencies` are names of steps of the same template.

    A `decision` chooses which of the steps that depend on it will run; a `deferred_convergence` waits for those of its
    dependencies that will. A `batchable` step cuts work into parts, and its `batch_worker` runs once for each; a step
    with `for_each` runs once for each item of a list that a step before it returned.
    """

    name: str
    handler: HandlerRef
    type: StepType = "standard"
    description: str | None = None
    dependencies: tuple[str, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    timeout_seconds: float | None = None
    queue: str | None = None
    """The queue whose workers run the step; the template's namespace where it is None."""
    system_dependency: str | None = None
    """The outside system that the step depends on; steps of one system share a breaker. "" names none."""
    result_schema: JsonObject | None = None
    for_each: str | None = None
    """`step.path.to.list`: where the items lie."""
    batch_config: BatchConfig | None = None
    publishes_events: tuple[EventDeclaration, ...] = ()

    @property
    def is_batch(self) -> bool:
        """True for a step that runs many times."""
        return self.type == "batch_worker" or self.for_each is not None

    @property
    def batch(self) -> BatchConfig:
        """Its configuration as a batch, with the defaults where nothing was said."""
        return self.batch_config or BatchConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """When a task counts as stale, and what becomes of it then. None: as the database's settings say."""

    max_waiting_for_dependencies_minutes: int | None = None
    max_waiting_for_retry_minutes: int | None = None
    max_steps_in_process_minutes: int | None = None
    max_duration_minutes: int | None = None
    staleness_action: StalenessAction = "dlq"
    auto_fail_on_timeout: bool | None = None
    auto_dlq_on_timeout: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A workflow. `steps` are in the order of the file; every dependency exists and there is no cycle."""

    namespace: str
    name: str
    version: str
    steps: tuple[Step, ...]
    description: str | None = None
    metadata: JsonObject = field(default_factory=dict[str, Json])
    system_dependencies: JsonObject = field(default_factory=dict[str, Json])
    input_schema: JsonObject | None = None
    enforce_schemas: bool = True
    """Whether inputs are held against `input_schema` and results against `result_schema`."""
    identity_strategy: IdentityStrategy = "always_unique"
    search_fields: tuple[str, ...] = ()
    """Dotted paths in the input; tasks are found by what stands there."""
    lifecycle: Lifecycle | None = None

    @property
    def full_name(self) -> str:
        """`namespace/name@version`."""
        return f"{self.namespace}/{self.name}@{self.version}"

    def step(self, name: str) -> Step:
        """The step of that name; KeyError where there is none."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)
