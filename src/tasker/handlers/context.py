"""What a handler is told about the step it runs.

A worker makes one context per execution, tens of thousands a second, and most handlers read a small part of it. So
making one only stores what the grant carried; JSON is decoded when it is first asked for, once per context. Decoded
values belong to this execution alone: a handler may change them and no other step sees it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from tasker.handlers.batch import Batch, is_members_json, read_members
from tasker.handlers.results import encode_result
from tasker.model.ids import FIRST_MEMBER, plan_number, step_uuid
from tasker.model.template import Step, Template

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class StepContext:
    """One execution of one step.

    `attempt` is the grant's number: it rises with every grant, is the fence, and never falls. `tries` counts the
    executions that ended before this one and what policy counts: 0 the first time, and again 0 after an operator
    reset the step. `max_attempts` counts executions, the first one included. `deadline` is in seconds of
    `time.monotonic()`, which is also the clock of asyncio's loops. `cancelled` turns true when the attempt was
    cancelled or taken away: what the handler returns after that is not recorded.
    """

    __slots__ = (
        "_beat",
        "_checkpoint",
        "_checkpoint_json",
        "_configuration",
        "_inputs",
        "_inputs_json",
        "_logger",
        "_member",
        "_members",
        "_results",
        "_results_json",
        "_save",
        "_step_uuid",
        "attempt",
        "cancelled",
        "correlation_id",
        "deadline",
        "max_attempts",
        "number",
        "step_name",
        "task_uuid",
        "template",
        "tries",
    )

    def __init__(
        self,
        task_uuid: UUID,
        step_uuid: UUID | None,
        step_name: str,
        number: int,
        attempt: int,
        tries: int,
        max_attempts: int,
        template: Template,
        inputs_json: str,
        results_json: Mapping[str, str],
        correlation_id: UUID | None = None,
        deadline: float | None = None,
        checkpoint_json: str | None = None,
        member: tuple[str, str | None] | None = None,
        beat: Callable[[], object] | None = None,
        save: Callable[[str], Any] | None = None,
    ) -> None:
        self.task_uuid = task_uuid
        self._step_uuid = step_uuid
        self.step_name = step_name
        self.number = number
        self.attempt = attempt
        self.tries = tries
        self.max_attempts = max_attempts
        self.template = template
        self.correlation_id = correlation_id
        self.deadline = deadline
        self.cancelled = False
        self._inputs_json = inputs_json
        self._results_json = results_json
        self._checkpoint_json = checkpoint_json
        self._beat = beat
        self._save = save
        self._member = member
        self._members: dict[str, Any] | None = None
        self._checkpoint: dict[str, Any] | None = None
        self._inputs: dict[str, Any] | None = None
        self._results: dict[str, Any] | None = None
        self._configuration: dict[str, Any] | None = None
        self._logger: FilteringBoundLogger | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """For process pools: everything travels but beat and save, which belong to the worker's own process."""
        arguments = (self.task_uuid, self._step_uuid, self.step_name, self.number, self.attempt, self.tries)
        rest = (self.max_attempts, self.template, self._inputs_json, dict(self._results_json))
        more = (self.correlation_id, self.deadline, self._checkpoint_json, self._member)
        return StepContext, (*arguments, *rest, *more)

    def __repr__(self) -> str:
        return f"<StepContext {self.step_name!r} of task {self.task_uuid}, attempt {self.attempt}>"

    # What the task was given.

    @property
    def inputs_json(self) -> str:
        """The task's input as JSON text."""
        return self._inputs_json

    @property
    def inputs(self) -> dict[str, Any]:
        """The task's input: the same for all its steps."""
        if self._inputs is None:
            self._inputs = orjson.loads(self._inputs_json)
        return self._inputs  # type: ignore[return-value]

    def get_input(self, key: str) -> Any:
        """One field of the task's input; None where it is missing."""
        return self.inputs.get(key)

    def get_input_or(self, key: str, default: Any = None) -> Any:
        """One field of the task's input; the default where it is missing or null."""
        value = self.inputs.get(key)
        return default if value is None else value

    # What the steps before this one returned.

    @property
    def dependency_results(self) -> dict[str, Any]:
        """The results of all steps before this one, parents and further ancestors, by step name."""
        return {name: self.get_dependency_result(name) for name in self._results_json}

    def get_dependency_result(self, step: str) -> Any:
        """The result of a step before this one; None where it has none. That of a batch is a list, `BatchResults`; a
        member of it is found by its own name."""
        if self._results is None:
            self._results = {}
        elif step in self._results:
            return self._results[step]
        text = self._results_json.get(step)
        if text is None:
            value = self._member_results().get(step)
        else:
            value = read_members(text) if is_members_json(text) else orjson.loads(text)
        self._results[step] = value
        return value

    def get_dependency_result_json(self, step: str) -> str | None:
        """The same as JSON text."""
        text = self._results_json.get(step)
        if text is None or is_members_json(text):
            value = self.get_dependency_result(step)
            return None if value is None else orjson.dumps(value).decode()
        return text

    def _member_results(self) -> dict[str, Any]:
        """The results of the members of all batches before this step, by their names."""
        if self._members is None:
            self._members = {}
            for name, text in self._results_json.items():
                if is_members_json(text):
                    results = read_members(text).by_id
                    self._members |= {f"{name}_{batch_id}": value for batch_id, value in results.items()}
        return self._members

    def get_dependency_field(self, step: str, *path: str | int) -> Any:
        """What lies under `path` in a result, by keys and indexes; None where there is nothing."""
        value = self.get_dependency_result(step)
        for key in path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def get_dependency_result_keys(self) -> list[str]:
        """The names of the steps before this one whose results are here."""
        return list(self._results_json)

    def get_all_dependency_results(self, prefix: str) -> list[Any]:
        """The results of the steps whose names begin with `prefix`, in the order of their names, none of them None.

        Of a batch they are those of its members, each by itself.
        """
        single = (name for name, text in self._results_json.items() if not is_members_json(text))
        names = sorted({*single, *self._member_results()})
        found = (self.get_dependency_result(name) for name in names if name.startswith(prefix))
        return [value for value in found if value is not None]

    # How the step is set up.

    @property
    def step(self) -> Step:
        """The step as its template defines it."""
        steps, is_member = self.template.steps, self.number >= FIRST_MEMBER
        place = plan_number(self.number) - 1
        # Steps are numbered in the order of their file; a search would be slow in templates of thousands.
        if 0 <= place < len(steps) and (is_member or steps[place].name == self.step_name):
            return steps[place]
        return self.template.step(self.step_name)

    @property
    def configuration(self) -> dict[str, Any]:
        """`handler.initialization` of the step, the environment's overrides included."""
        if self._configuration is None:
            self._configuration = orjson.loads(orjson.dumps(self.step.handler.initialization, default=dict))
        return self._configuration  # type: ignore[return-value]

    def get_config(self, key: str) -> Any:
        """One key of the configuration; None where it is missing."""
        return self.configuration.get(key)

    # Which part of a batch it is.

    @property
    def batch(self) -> Batch | None:
        """What this member of a batch is to do; None in a step that is none."""
        if self._member is None or self.step.for_each is not None:
            return None
        batch_id, cursor = self._member
        config = self.step.batch
        value: dict[str, Any] = {} if cursor is None else orjson.loads(cursor)
        return Batch(batch_id, self.number % FIRST_MEMBER, value, config.cursor_field, config.failure_strategy)

    @property
    def item(self) -> Any:
        """The item that this execution of a step with `for_each` is for; None in any other step."""
        if self._member is None or self._member[1] is None or self.step.for_each is None:
            return None
        return orjson.loads(self._member[1])

    @property
    def item_index(self) -> int | None:
        """The item's place in its list, from 0; None in a step without `for_each`."""
        return None if self._member is None or self.step.for_each is None else self.number % FIRST_MEMBER - 1

    @property
    def batch_size(self) -> int:
        """For a batchable step: how many rows a part should have, by the `batch_config` of its batch_worker."""
        workers = (one for one in self.template.steps if one.type == "batch_worker")
        own = next((one for one in workers if self.step_name in one.dependencies), self.step)
        return own.batch.batch_size

    # Which execution this is.

    @property
    def step_uuid(self) -> UUID:
        """The step's public id, the same for every attempt."""
        if self._step_uuid is None:
            self._step_uuid = step_uuid(self.task_uuid, self.number)
        return self._step_uuid

    @property
    def idempotency_key(self) -> str:
        """`task_uuid:step_name`: the same for every attempt of this step, and for no other step.

        Give it to whatever must not happen twice. A step runs at least once: when a worker dies after a charge and
        before it said so, the step runs again, and the key is what lets the gateway answer with the first charge.
        """
        return f"{self.task_uuid}:{self.step_name}"

    @property
    def retry_count(self) -> int:
        """How many executions ended before this one: 0 the first time."""
        return self.tries

    @property
    def max_retries(self) -> int:
        """The limit of executions, the first one included: the older API's name of `max_attempts`."""
        return self.max_attempts

    def is_retry(self) -> bool:
        """True from the second execution on."""
        return self.tries > 0

    def is_last_retry(self) -> bool:
        """True when the step fails for good if this execution fails."""
        return self.tries >= self.max_attempts - 1

    # How far it has come.

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """What this step saved last, in this attempt or an earlier one: cursor, items_processed, accumulated, …"""
        if self._checkpoint is None and self._checkpoint_json is not None:
            self._checkpoint = orjson.loads(self._checkpoint_json)
        return self._checkpoint

    @property
    def has_checkpoint(self) -> bool:
        """True when there is something to go on from."""
        return self._checkpoint_json is not None

    @property
    def checkpoint_cursor(self) -> Any:
        """Where to go on; None at the beginning."""
        return (self.checkpoint or {}).get("cursor")

    @property
    def checkpoint_items_processed(self) -> int:
        """How many items were processed until there."""
        return (self.checkpoint or {}).get("items_processed", 0)

    @property
    def accumulated_results(self) -> Any:
        """What had been accumulated until there; None where nothing was."""
        return (self.checkpoint or {}).get("accumulated")

    def save_checkpoint(self, cursor: Any, *, items_processed: int = 0, accumulated: Any = None) -> Any:
        """Save how far the step has come; it is durable when this is done. An async handler awaits it.

        The next attempt, on whatever worker, finds it. All three may be any JSON; `accumulated` replaces what was saved
        before. It counts as a sign of life. Raises StepValidationError for what is too large or no JSON, and
        RetryableError where this attempt was taken away.
        """
        state = {"cursor": cursor, "items_processed": items_processed, "accumulated": accumulated}
        text = encode_result(state)
        self._checkpoint_json, self._checkpoint = text, None
        return None if self._save is None else self._save(text)

    # Time, and signs of life.

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the step's timeout, never below 0; None where it has none."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def heartbeat(self) -> None:
        """Say that a long step is alive and needs its time. Cheap, callable from any thread, raises nothing."""
        if self._beat is None:
            return
        try:
            self._beat()
        except Exception as error:
            # A handler must not fail because its worker could not take note of a sign of life.
            self.logger.warning("heartbeat not taken", error=repr(error))

    @property
    def logger(self) -> FilteringBoundLogger:
        """A structlog logger that carries the task, the step and the attempt."""
        if self._logger is None:
            import structlog

            self._logger = structlog.get_logger("tasker.step").bind(
                task_uuid=str(self.task_uuid),
                step=self.step_name,
                attempt=self.attempt,
                correlation_id=None if self.correlation_id is None else str(self.correlation_id),
            )
        return self._logger  # type: ignore[return-value]
