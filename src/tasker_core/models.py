"""A step on its way to its handler, as objects: `context.task_sequence_step`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast


def _some(data: dict[str, Any] | None, key: str) -> dict[str, Any]:
    value = (data or {}).get(key)
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - any JSON


def _is_envelope(value: Any) -> bool:
    return isinstance(value, dict) and "result" in value


@dataclass
class TaskWrapper:
    """The task."""

    task_uuid: str = ""
    context: dict[str, Any] = field(default_factory=dict[str, Any])
    namespace_name: str = ""
    task_name: str = ""
    task_version: str = ""

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None) -> TaskWrapper:
        """Of an event's `task`."""
        inner = _some(data, "task") or data or {}
        outer = data or {}
        return cls(
            task_uuid=str(inner.get("task_uuid") or ""),
            context=inner.get("context") or {},
            namespace_name=outer.get("namespace_name") or "",
            task_name=outer.get("task_name") or "",
            task_version=outer.get("task_version") or "",
        )


@dataclass
class WorkflowStepWrapper:
    """The step: `attempts` counts the executions before this one."""

    workflow_step_uuid: str = ""
    name: str = ""
    template_step_name: str = ""
    attempts: int = 0
    max_attempts: int = 3
    retryable: bool = True
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    results: dict[str, Any] = field(default_factory=dict[str, Any])
    checkpoint: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None) -> WorkflowStepWrapper:
        """Of an event's `workflow_step`."""
        data = data or {}
        return cls(
            workflow_step_uuid=str(data.get("workflow_step_uuid") or ""),
            name=data.get("name") or "",
            template_step_name=data.get("template_step_name") or "",
            attempts=data.get("attempts") or 0,
            max_attempts=data.get("max_attempts") or 3,
            retryable=data.get("retryable", True),
            inputs=_some(data, "inputs"),
            results=_some(data, "results"),
            checkpoint=data.get("checkpoint"),
        )


@dataclass
class DependencyResultsWrapper:
    """The envelopes of the steps before this one."""

    results: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None) -> DependencyResultsWrapper:
        """Of an event's `dependency_results`."""
        return cls(results=data or {})

    def get_result(self, step_name: str) -> Any:
        """The envelope of a step; None where there is none."""
        return self.results.get(step_name)

    def get_results(self, step_name: str) -> Any:
        """The result of a step without its envelope; None where there is none."""
        envelope: Any = self.results.get(step_name)
        return cast("dict[str, Any]", envelope)["result"] if _is_envelope(envelope) else envelope


@dataclass
class HandlerWrapper:
    """The step's handler, as its template names it."""

    callable: str = ""
    initialization: dict[str, Any] = field(default_factory=dict[str, Any])
    method: str | None = None
    resolver: str | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None) -> HandlerWrapper:
        """Of a definition's `handler`."""
        data = data or {}
        return cls(
            callable=data.get("callable") or "",
            initialization=_some(data, "initialization"),
            method=data.get("method"),
            resolver=data.get("resolver"),
        )


@dataclass
class StepDefinitionWrapper:
    """The step, as its template defines it."""

    name: str = ""
    description: str = ""
    handler: HandlerWrapper = field(default_factory=HandlerWrapper)
    dependencies: list[str] = field(default_factory=list[str])
    timeout_seconds: float | None = None

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None) -> StepDefinitionWrapper:
        """Of an event's `step_definition`."""
        data = data or {}
        return cls(
            name=data.get("name") or "",
            description=data.get("description") or "",
            handler=HandlerWrapper.from_dict(data.get("handler")),
            dependencies=list(data.get("dependencies") or ()),
            timeout_seconds=data.get("timeout_seconds"),
        )


@dataclass
class TaskSequenceStepWrapper:
    """All of it."""

    task: TaskWrapper
    workflow_step: WorkflowStepWrapper
    dependency_results: DependencyResultsWrapper
    step_definition: StepDefinitionWrapper

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None) -> TaskSequenceStepWrapper:
        """Of an event's `task_sequence_step`."""
        return cls(
            task=TaskWrapper.from_dict(_some(data, "task")),
            workflow_step=WorkflowStepWrapper.from_dict(_some(data, "workflow_step")),
            dependency_results=DependencyResultsWrapper.from_dict(_some(data, "dependency_results")),
            step_definition=StepDefinitionWrapper.from_dict(_some(data, "step_definition")),
        )

    def get_task_field(self, name: str) -> Any:
        """A field of the task's context."""
        return self.task.context.get(name)

    def get_dependency_result(self, step_name: str) -> Any:
        """The envelope of a step before this one."""
        return self.dependency_results.get_result(step_name)

    def get_results(self, step_name: str) -> Any:
        """The result of a step before this one."""
        return self.dependency_results.get_results(step_name)
