"""Every error that Tasker raises or that a handler raises to Tasker.

Two families. `TaskerError` and its children are what callers of Tasker get: each says what happened, where, and what
to do next. `StepError` and its children are what handlers raise: the class says whether another try can help.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tasker.model.problem import Problem


class TaskerError(Exception):
    """Something went wrong in Tasker."""

    code = "tasker_error"
    retry_after_s: float | None = None
    """After how many seconds the same may work, where somebody said so."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class SettingsError(TaskerError):
    """A setting is missing or not valid."""

    code = "invalid_settings"


class DatabaseUnavailable(TaskerError):
    """The database does not answer."""

    code = "database_unavailable"


class ServerUnavailable(TaskerError):
    """The server does not answer."""

    code = "server_unavailable"


class ServerFault(TaskerError):
    """The server failed, or what answers there is none of Tasker's."""

    code = "server_fault"


class NotStarted(TaskerError):
    """This Tasker is not started."""

    code = "not_started"


class SchemaOutdated(TaskerError):
    """The database's schema is not the one this version of Tasker needs: run `tasker db migrate`."""

    code = "schema_outdated"


class EmbeddedPostgresError(TaskerError):
    """The embedded PostgreSQL could not be started."""

    code = "embedded_postgres"


class TemplateError(TaskerError):
    """A template is not valid."""

    code = "invalid_template"

    def __init__(self, message: str | None = None, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems
        """Everything that is wrong, each with its file, line, column and path."""


class TemplateConflict(TaskerError):
    """This version of the template is already published with other content."""

    code = "template_conflict"


class TemplateNotFound(TaskerError):
    """No such template is published."""

    code = "template_not_found"


class TaskNotFound(TaskerError):
    """No such task."""

    code = "task_not_found"


class StepNotFound(TaskerError):
    """The task has no such step."""

    code = "step_not_found"


class InvalidInput(TaskerError):
    """The input of a task does not fit the template's schema, or is not JSON."""

    code = "invalid_input"

    def __init__(self, message: str | None = None, violations: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.violations = violations
        """One line each: the path in the input and what is wrong there."""


class TurnSuperseded(TaskerError):
    """The session has begun a newer turn: begin one with a higher number, and name in it what the worker holds."""

    code = "turn_superseded"


class PayloadTooLarge(TaskerError):
    """An input, result or error is larger than the setting allows."""

    code = "payload_too_large"


class IdentityConflict(TaskerError):
    """The same identity or idempotency key was used before with other content."""

    code = "identity_conflict"

    def __init__(self, message: str | None = None, task_uuid: UUID | None = None) -> None:
        super().__init__(message)
        self.task_uuid = task_uuid
        """The task that holds the identity."""


class KeyInFlight(TaskerError):
    """Another transaction is creating a task with this key right now: try again when it has ended."""

    code = "key_in_flight"


class ActionForbidden(TaskerError):
    """The state of the task or step does not allow this action."""

    code = "action_forbidden"


class KeysUnavailable(TaskerError):
    """The keys that tokens are checked with cannot be had at the moment: nobody is let in by a token."""

    code = "keys_unavailable"


class ApiKeyNotFound(TaskerError):
    """There is no such API key."""

    code = "api_key_not_found"


class BreakerNotFound(TaskerError):
    """No template and no handler names this system as its dependency."""

    code = "breaker_not_found"


class HandlerNotFound(TaskerError):
    """A template names a handler that this process does not have."""

    code = "handler_not_found"


class InvalidHandler(TaskerError):
    """A handler is not written so that Tasker can call it."""

    code = "invalid_handler"


class WaitTimeout(TaskerError, TimeoutError):
    """The task did not end in the time given. It goes on."""

    code = "wait_timeout"


class WrongIsolation(TaskerError):
    """The verbs of the engine run under READ COMMITTED only."""

    code = "wrong_isolation"


class SessionEnded(TaskerError):
    """The worker's session was ended, because it had been silent for longer than its lease."""

    code = "session_ended"


class NotFound(TaskerError):
    """There is nothing of this name."""

    code = "not_found"


class Unauthenticated(TaskerError):
    """Who calls is not known: no credentials came, or they were not accepted."""

    code = "unauthenticated"

    def __init__(self, message: str | None = None, reason: str = "missing", key_id: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        """missing, expired, invalid or malformed."""
        self.key_id = key_id
        """The API key that was named, where there is one; for the record of refused calls."""


class Forbidden(TaskerError):
    """The caller may not do this."""

    code = "forbidden"

    def __init__(self, message: str | None = None, namespace: str | None = None) -> None:
        super().__init__(message)
        self.namespace = namespace
        """The one that the caller does not reach, where it is that; for the record of refused calls."""


class MalformedRequest(TaskerError):
    """A request is not well-formed."""

    code = "malformed_request"


class RequestTooLarge(TaskerError):
    """A request is larger than the setting allows."""

    code = "request_too_large"


class RequestTimeout(TaskerError):
    """The server gave up on a request: it took longer than the setting allows."""

    code = "request_timeout"


class Backpressure(TaskerError):
    """The server takes nothing at the moment: try again later."""

    code = "backpressure"

    def __init__(self, message: str | None = None, retry_after_s: float = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaExceeded(Backpressure):
    """The caller, or the namespace, has used up what it may create for now."""

    code = "quota_exceeded"


class StepError(Exception):
    """A handler failed. Raise `PermanentError` or `RetryableError`, or one of their children.

    `error_code` is your own word for programs, `metadata` and `context` are kept with the attempt, `retry_after` is in
    seconds. `is_dependency_failure` says that the system which the step depends on is down: its breaker counts it.
    """

    retryable: bool = True
    error_type = "handler_error"
    is_dependency_failure: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        retryable: bool | None = None,
        error_code: str | None = None,
        retry_after: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
        is_dependency_failure: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code
        self.retry_after = retry_after
        self.metadata: dict[str, Any] = {**(metadata or {}), **(context or {})}
        if retryable is not None:
            self.retryable = retryable
        if is_dependency_failure is not None:
            self.is_dependency_failure = is_dependency_failure


class RetryableError(StepError):
    """It failed for a passing reason: the step is tried again, within its limit."""

    retryable = True
    error_type = "retryable_error"


class PermanentError(StepError):
    """Trying again cannot help: the step ends in `error` at once."""

    retryable = False
    error_type = "permanent_error"


class StepTimeoutError(RetryableError):
    """The step, or what it called, took too long."""

    error_type = "timeout"


class NetworkError(RetryableError):
    """The network failed. The breaker of the system that the step depends on counts it."""

    is_dependency_failure = True


class RateLimitError(RetryableError):
    """A service asks for fewer calls."""


class ServiceUnavailableError(RetryableError):
    """A service is down for now. The breaker of the system that the step depends on counts it."""

    is_dependency_failure = True


class ResourceContentionError(RetryableError):
    """Something that the step needs is in use."""


class StepValidationError(PermanentError):
    """The step's inputs, or its result, are not valid."""

    error_type = "validation_error"


class ResultTooLarge(StepValidationError):
    """The step's result is larger than the setting allows."""

    error_type = "payload_too_large"


class NotFoundError(PermanentError):
    """What the step needs does not exist."""


class AuthenticationError(PermanentError):
    """The step's credentials were not accepted."""


class AuthorizationError(PermanentError):
    """The step may not do this."""


class ConfigurationError(PermanentError):
    """The step is not configured rightly."""


class BusinessLogicError(PermanentError):
    """A rule of the business forbids it."""
