"""What workers on the network say and are told: docs/worker-protocol.md has it with examples."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from tasker.operations.fields import Name
from tasker.operations.registry import Answer, Given

ATTEMPTS_MAX = 10_000
WANTED_MAX = 1000
ANNOUNCED = "Queues of RabbitMQ on which this work is announced; none: it is not, for now."
Word = Annotated[str, Field(max_length=255)]
SessionUuid = Annotated[
    UUID, Field(description="The session's id, made by the worker.", examples=["0198c0de-0000-7000-8000-0000000000aa"])
]
Number = Annotated[int, Field(gt=0, lt=2**31, description="The step's number in its task.", examples=[1])]
Count = Annotated[int, Field(gt=0, lt=2**31)]
Wait = Annotated[float, Field(ge=0, le=3600, description="Wait so many seconds for work, if there is none.")]


class ServedHandler(Given):
    """A handler that a worker has."""

    name: Name
    pool: int = Field(default=1, ge=1, le=8, description="Which kind of slot its steps need: 1, 2, …")
    system_dependency: Word = Field(default="", description="The outside system that it depends on.")
    version: Word = Field(default="", description="The handler's version, for people.")


class OpenSession(Given):
    """A worker's start."""

    session_uuid: SessionUuid
    name: Name = Field(description="What people know the worker by.", examples=["host-7:4711"])
    host: Word = ""
    pid: int = Field(default=0, ge=0, lt=2**31)
    version: Word = Field(default="", description="The worker's own version, for people.")
    handlers: list[ServedHandler] = Field(min_length=1, max_length=10_000, examples=[[{"name": "charge"}]])
    queues: list[Name] | None = Field(default=None, max_length=1000, description="Serve only these; null: all.")
    namespaces: list[Name] | None = Field(
        default=None, max_length=1000, description="Serve only these; null: all that the caller reaches."
    )


class OfSession(Given):
    """A session."""

    session_uuid: SessionUuid


class EndSession(OfSession):
    """A session that is over."""

    reason: Word = "stopped"


class Attempt(Given):
    """The fence of a step: an outcome, a beat or a checkpoint that names another attempt changes nothing."""

    task_uuid: UUID
    number: Number
    attempt: Count


class StepOutcome(Attempt):
    """How an attempt ended."""

    kind: Literal["succeeded", "decided", "batched", "expanded", "failed", "retryable", "released"]
    result: Any = Field(
        default=None, description="Of succeeded, decided, batched; what is no object is wrapped in one."
    )
    error: dict[str, Any] | None = Field(default=None, description="Of failed and retryable: message, error_type, …")
    retry_after_s: float | None = Field(default=None, ge=0, description="Not before; of retryable and released.")
    run_s: float = Field(default=0, ge=0, description="How many seconds the handler ran.")


class TakeTurn(OfSession):
    """What is done, and how much room there is."""

    turn: int = Field(gt=0, lt=2**63, description="Higher than that of the turn before.")
    outcomes: list[StepOutcome] = Field(default=[], max_length=WANTED_MAX)
    held: list[Attempt] | None = Field(
        default=None,
        max_length=ATTEMPTS_MAX,
        description="After an answer that was lost: all that the worker runs or has an outcome of.",
    )
    free: list[Annotated[int, Field(ge=0, lt=100_000)]] = Field(
        default=[], max_length=8, description="Free slots of each pool, those of these outcomes included."
    )
    claim: bool = Field(default=True, description="Take what is ready; false: only what these outcomes free.")
    may_be_alone: bool = Field(default=True, description="Take a step that is to run with nothing beside it.")
    may_wait: bool = Field(default=False, description="Stand in line for busy tasks instead of deferring them.")
    wait: Wait = 0


class Started(Attempt):
    """A step that has really begun."""

    ago_s: float = Field(default=0, ge=0)


class Beat(OfSession):
    """A sign of life."""

    is_idle: bool = Field(default=False, description="Nothing runs: wake-ups are wanted.")
    stale_outcomes: int = Field(default=0, ge=0, lt=2**31, description="How many were stale since the last beat.")
    started: list[Started] = Field(default=[], max_length=ATTEMPTS_MAX)
    held: list[Attempt] = Field(default=[], max_length=ATTEMPTS_MAX, description="All that the worker runs.")


class OfStep(Given):
    """A step."""

    task_uuid: UUID
    number: Number


class Load(OfSession):
    """What grants did not carry. Only of tasks of which the session holds a step."""

    contexts: list[UUID] = Field(default=[], max_length=WANTED_MAX, description="Tasks whose input is wanted.")
    results: list[OfStep] = Field(default=[], max_length=WANTED_MAX)
    items: list[OfStep] = Field(default=[], max_length=WANTED_MAX, description="What members of batches work on.")
    members: list[OfStep] = Field(default=[], max_length=WANTED_MAX, description="Batches whose members' results.")
    checkpoints: list[OfStep] = Field(default=[], max_length=WANTED_MAX)
    templates: list[Count] = Field(default=[], max_length=WANTED_MAX, description="template_ids of grants.")


class CheckpointSaid(Attempt):
    """How far a step has come."""

    cursor: Any = None
    items_processed: int = Field(default=0, ge=0, lt=2**62)
    accumulated: Any = None


class SaveCheckpoints(OfSession):
    """How far steps have come."""

    checkpoints: list[CheckpointSaid] = Field(min_length=1, max_length=WANTED_MAX)


class AwaitWork(OfSession):
    """Nothing to do."""

    wait: Wait = 20


class Served(Answer):
    """A handler of the worker that templates need, in one queue."""

    channel: int
    handler: str
    queue: str
    namespace: str


class SessionOpened(Answer):
    """A session, and what it has to keep to."""

    session_uuid: UUID
    lease_s: float = Field(description="A session silent for longer is ended.")
    beat_s: float = Field(description="How often to beat.")
    wait_s_max: float = Field(description="The longest wait of a call.")
    result_bytes_max: int
    checkpoint_bytes_max: int
    request_bytes_max: int
    serving: list[Served]
    announced_on: list[str] = Field(default=[], description=ANNOUNCED)


class Granted(Answer):
    """A step to run."""

    task_uuid: UUID
    number: int
    attempt: int
    tries: int = Field(description="How many executions came before, as policies count.")
    template_id: int
    is_alone: bool = Field(description="It was lost with a worker: run it with nothing beside it.")
    is_unchecked: bool = Field(description="The task's input was not held against its schema.")


class TaskContext(Answer):
    """The input of a task."""

    task_uuid: UUID
    correlation_id: UUID | None
    context: Any


class StepResult(Answer):
    """The result of a step."""

    task_uuid: UUID
    number: int
    result: Any


class MemberItem(Answer):
    """What a member of a batch works on."""

    task_uuid: UUID
    number: int
    batch_id: str
    item: Any


class OutcomeVerdict(Answer):
    """An outcome that was not simply recorded."""

    task_uuid: UUID
    number: int
    attempt: int
    verdict: Literal["already", "stale", "deferred", "refused", "recorded"]
    reason: str | None = None


class LostAttempt(Answer):
    """An attempt that the worker holds no longer."""

    task_uuid: UUID
    number: int
    attempt: int


class EndedTask(Answer):
    """A task that ended with these outcomes."""

    task_uuid: UUID
    state: str


class TurnTaken(Answer):
    """What became of the outcomes, and what to run."""

    session_ended: bool = False
    superseded: bool = Field(default=False, description="A newer turn began while this one waited.")
    grants: list[Granted] = Field(default=[])
    contexts: list[TaskContext] = Field(default=[])
    results: list[StepResult] = Field(default=[])
    items: list[MemberItem] = Field(default=[])
    verdicts: list[OutcomeVerdict] = Field(default=[])
    gone: list[LostAttempt] = Field(default=[])
    ended: list[EndedTask] = Field(default=[])
    next_due_s: float | None = Field(default=None, description="In so many seconds a step comes due.")


class BeatHeard(Answer):
    """What a worker should know."""

    session_ended: bool
    gone: list[LostAttempt]
    idle_peers: int
    serving: list[Served]
    announced_on: list[str] = Field(default=[], description=ANNOUNCED)
    wanted: Literal["paused", "drained"] | None = Field(
        default=None, description="What an operator wants: take nothing new; drained: and end when all is done."
    )


class BatchMember(Answer):
    """How a member of a batch ended."""

    batch_id: str
    result: Any
    error: Any


class BatchMembers(Answer):
    """How the members of a batch ended, in order."""

    task_uuid: UUID
    number: int
    members: list[BatchMember]


class StepCheckpoint(Answer):
    """How far a step has come."""

    task_uuid: UUID
    number: int
    checkpoint: Any


class TemplateDefinition(Answer):
    """A template as it was published; the steps are numbered from 1, in their order."""

    template_id: int
    definition: Any


class Loaded(Answer):
    """What there is of what was asked for."""

    contexts: list[TaskContext]
    results: list[StepResult]
    items: list[MemberItem]
    members: list[BatchMembers]
    checkpoints: list[StepCheckpoint]
    templates: list[TemplateDefinition]


class CheckpointsSaved(Answer):
    """One verdict each: recorded, stale, or deferred (send it again)."""

    verdicts: list[OutcomeVerdict]


class WorkAwaited(Answer):
    """Whether there may be work now."""

    woken: bool


class SessionEnded(Answer):
    """Steps that the session held are others' to run."""

    released: int
