"""What a handler is told about the step that it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from tasker_core.models import TaskSequenceStepWrapper

MISSING: Any = object()


class FfiStepEvent(BaseModel):
    """A step on its way to its handler. `task_sequence_step` holds the task, the step, its definition and results."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    task_uuid: str
    step_uuid: str
    correlation_id: str
    task_correlation_id: str | None = None
    parent_correlation_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    task_sequence_step: dict[str, Any]


class StepContext(BaseModel):
    """One execution of one step.

    `input_data` is the task's context. `dependency_results` are the envelopes of all steps before this one, parents and
    further ancestors. `retry_count` is 0 the first time; `max_retries` counts executions, the first one included.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    event: FfiStepEvent
    task_uuid: UUID
    step_uuid: UUID
    correlation_id: UUID
    handler_name: str
    input_data: dict[str, Any] = Field(default_factory=dict)
    dependency_results: dict[str, Any] = Field(default_factory=dict)
    step_config: dict[str, Any] = Field(default_factory=dict)
    step_inputs: dict[str, Any] = Field(default_factory=dict)
    retry_count: int = 0
    max_retries: int = 3

    @classmethod
    def from_ffi_event(cls, event: FfiStepEvent, handler_name: str) -> StepContext:
        """The context of an event."""
        sequence = event.task_sequence_step
        task = _mapping(sequence, "task")
        inner = _mapping(task, "task")
        step = _mapping(sequence, "workflow_step")
        handler = _mapping(_mapping(sequence, "step_definition"), "handler")
        return cls(
            event=event,
            task_uuid=UUID(event.task_uuid),
            step_uuid=UUID(event.step_uuid),
            correlation_id=UUID(event.correlation_id),
            handler_name=handler_name,
            input_data=inner.get("context") or task.get("context") or {},
            dependency_results=_mapping(sequence, "dependency_results"),
            step_config=_mapping(handler, "initialization"),
            step_inputs=_mapping(step, "inputs"),
            retry_count=step.get("attempts") or 0,
            max_retries=step.get("max_attempts") or 3,
        )

    # Results of earlier steps ---------------------------------------------------------------------------------------

    def get_dependency_result(self, step_name: str) -> Any:
        """The result of a step before this one, without its envelope; None where there is none."""
        return _unwrapped(self.dependency_results.get(step_name))

    def get_dependency_field(self, step_name: str, *path: str | int) -> Any:
        """What lies under the path in a result; None where there is nothing."""
        value = self.get_dependency_result(step_name)
        for key in path:
            try:
                value = value[key]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def get_dependency_result_keys(self) -> list[str]:
        """The names of the steps whose results are here."""
        return list(self.dependency_results)

    def get_all_dependency_results(self, prefix: str) -> list[Any]:
        """The results of the steps whose names begin with the prefix, without envelopes and without None."""
        found = (_unwrapped(value) for name, value in self.dependency_results.items() if name.startswith(prefix))
        return [value for value in found if value is not None]

    # Inputs and configuration ---------------------------------------------------------------------------------------

    def get_input(self, key: str) -> Any:
        """A field of the task's context; None where it is missing."""
        return self.input_data.get(key)

    def get_input_or(self, key: str, default: Any = None) -> Any:
        """A field of the task's context; the default where it is missing or None."""
        value = self.input_data.get(key)
        return default if value is None else value

    def get_config(self, key: str) -> Any:
        """A key of `handler.initialization`; None where it is missing."""
        return self.step_config.get(key)

    # Tries and checkpoints ------------------------------------------------------------------------------------------

    def is_retry(self) -> bool:
        """True from the second execution on."""
        return self.retry_count > 0

    def is_last_retry(self) -> bool:
        """True when the step fails for good if this execution fails."""
        return self.retry_count >= self.max_retries - 1

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """What an earlier execution yielded; None where none did."""
        return _mapping(self.event.task_sequence_step, "workflow_step").get("checkpoint")

    @property
    def checkpoint_cursor(self) -> Any:
        """Where to go on; None at the beginning."""
        return (self.checkpoint or {}).get("cursor")

    @property
    def checkpoint_items_processed(self) -> int:
        """How many items are done."""
        return (self.checkpoint or {}).get("items_processed") or 0

    @property
    def accumulated_results(self) -> dict[str, Any] | None:
        """What was gathered so far."""
        return (self.checkpoint or {}).get("accumulated_results")

    def has_checkpoint(self) -> bool:
        """True where an earlier execution left a cursor."""
        return self.checkpoint_cursor is not None

    @property
    def task_sequence_step(self) -> TaskSequenceStepWrapper:
        """The event's content as objects."""
        from tasker_core.models import TaskSequenceStepWrapper

        return TaskSequenceStepWrapper.from_dict(self.event.task_sequence_step)


def _mapping(source: dict[str, Any], key: str) -> dict[str, Any]:
    """What stands under the key, if it is a mapping."""
    value = source.get(key)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _unwrapped(value: Any) -> Any:
    if isinstance(value, dict) and "result" in value:
        return cast("dict[str, Any]", value)["result"]
    return value  # pyright: ignore[reportUnknownVariableType] - any JSON
