"""Made by scripts/twin.py: see its source, the same with await.

The part of the client that looks after many tasks: dead letters, jobs, figures, the fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasker.client.filling import Id, act_fields, job_fields, key_fields
from tasker.client.sync_gateway import Gateway
from tasker.operations.analytics import BottleneckAnalysis, GroupOfDurations, IntervalFigures, PerformanceMetrics
from tasker.operations.breakers import BreakerInfo, BreakerMove
from tasker.operations.callers import Caller
from tasker.operations.configuration import ConfigResponse
from tasker.operations.dlq import (
    DlqEntry,
    DlqEntryWithEvents,
    DlqStats,
    InvestigationEntry,
    InvestigationUpdated,
    Requeued,
    StalenessReport,
)
from tasker.operations.events import EventInfo, EventPage
from tasker.operations.fleet import HandlerList
from tasker.operations.jobs import ItemInfo, JobDriven, JobInfo, JobMade
from tasker.operations.keys import KeyInfo, KeyMade
from tasker.operations.queues import PauseList, QueueActed, QueueList
from tasker.operations.refusals import RefusalInfo
from tasker.operations.templates import NamespaceList
from tasker.operations.workers import WorkerActed, WorkerList


class Oversight(Gateway):
    """Methods of TaskerClient."""

    # The dead letter queue ------------------------------------------------------------------------------------------

    def list_dlq(self, **which: Any) -> list[DlqEntry]:
        """Entries, newest first. `which`: resolution_status, dlq_reason, namespace (each one or several), assigned_to,
        limit, cursor."""
        return self.call("list_dlq", **which)

    def get_dlq_of_task(self, task_uuid: Id) -> DlqEntry:
        """The newest entry of a task. Raises NotFound."""
        return self.call("get_dlq_of_task", task_uuid=task_uuid)

    def get_dlq_entry(self, dlq_entry_uuid: Id) -> DlqEntryWithEvents:
        """An entry, and all that was done to it."""
        return self.call("get_dlq_entry", dlq_entry_uuid=dlq_entry_uuid)

    def add_dlq_entry(self, task_uuid: Id, **about: Any) -> DlqEntry:
        """Puts a task into the queue by hand. `about`: notes, actor, metadata."""
        return self.call("add_dlq_entry", task_uuid=task_uuid, **about)

    def update_dlq_entry(self, dlq_entry_uuid: Id, **about: Any) -> InvestigationUpdated:
        """Notes what an investigation has come to. `about`: resolution_status, resolution_notes, resolved_by,
        assigned_to, metadata."""
        return self.call("update_dlq_entry", dlq_entry_uuid=dlq_entry_uuid, **about)

    def requeue_dlq_entry(self, dlq_entry_uuid: Id, **about: Any) -> Requeued:
        """Tries every failed step of the entry's task again. `about`: reason, actor, act_id."""
        return self.call("requeue_dlq_entry", dlq_entry_uuid=dlq_entry_uuid, **act_fields(about))

    def get_dlq_stats(self, *, namespace: str | Sequence[str] | None = None) -> list[DlqStats]:
        """How many entries there are of each reason, and what became of them."""
        return self.call("get_dlq_stats", namespace=namespace)

    def get_investigation_queue(
        self, *, namespace: str | Sequence[str] | None = None, limit: int = 100
    ) -> list[InvestigationEntry]:
        """The pending entries, the most urgent first."""
        return self.call("get_investigation_queue", namespace=namespace, limit=limit)

    def get_staleness(self, *, namespace: str | Sequence[str] | None = None, limit: int = 100) -> list[StalenessReport]:
        """The open tasks that have stood still for longest."""
        return self.call("get_staleness", namespace=namespace, limit=limit)

    # One action on many tasks ---------------------------------------------------------------------------------------

    def create_job(self, action: str, which: Mapping[str, Any], **about: Any) -> JobMade:
        """Does one thing (cancel, pause, resume, retry) to all tasks that a filter lets through, in the background.

        `which` is the filter, and may not be empty. `about`: reason, actor, tasks_max, job_uuid, dry_run.
        """
        return self.call("create_job", action=action, filter=dict(which), **job_fields(about))

    def list_jobs(self, **which: Any) -> list[JobInfo]:
        """Jobs, newest first. `which`: status, limit, cursor."""
        return self.call("list_jobs", **which)

    def get_job(self, job_uuid: Id) -> JobInfo:
        """A job, and how far it has come."""
        return self.call("get_job", job_uuid=job_uuid)

    def list_job_items(self, job_uuid: Id, **which: Any) -> list[ItemInfo]:
        """What became of a job's tasks. `which`: status, limit, cursor."""
        return self.call("list_job_items", job_uuid=job_uuid, **which)

    def drive_job(self, job_uuid: Id) -> JobDriven:
        """Sees to a job's next tasks at once, and tells how many those were; a worker does so by itself."""
        return self.call("drive_job", job_uuid=job_uuid)

    def stop_job(self, job_uuid: Id, *, actor: str | None = None) -> JobInfo:
        """Stops a job where it is; what it has done stays done."""
        return self.call("stop_job", job_uuid=job_uuid, actor=actor)

    # Breakers -------------------------------------------------------------------------------------------------------

    def list_breakers(self, *, namespace: str | None = None) -> list[BreakerInfo]:
        """The breakers of the outside systems that steps depend on, by name."""
        return self.call("list_breakers", namespace=namespace)

    def get_breaker(self, breaker: str) -> BreakerInfo:
        """A breaker with its limits. Raises BreakerNotFound."""
        return self.call("get_breaker", breaker=breaker)

    def list_breaker_moves(self, breaker: str, *, limit: int = 100) -> list[BreakerMove]:
        """The last moves of a breaker, the newest first."""
        return self.call("list_breaker_moves", breaker=breaker, limit=limit)

    def open_breaker(self, breaker: str, *, for_s: float | None = None, **about: Any) -> BreakerInfo:
        """Opens a breaker, for so many seconds or until it is reset. `about`: reason, actor, act_id."""
        return self.call("open_breaker", breaker=breaker, for_s=for_s, **act_fields(about))

    def reset_breaker(self, breaker: str, **about: Any) -> BreakerInfo:
        """Closes a breaker, and forgets the failures; see open_breaker."""
        return self.call("reset_breaker", breaker=breaker, **act_fields(about))

    def set_breaker_limits(self, breaker: str, **limits: Any) -> BreakerInfo:
        """Sets failure_threshold, success_threshold, probes, reset_s, reset_max_s; those in `as_fleet` are the fleet's
        again. Also reason, actor, act_id."""
        return self.call("set_breaker_limits", breaker=breaker, **act_fields(limits))

    # Domain events --------------------------------------------------------------------------------------------------

    def list_domain_events(self, **which: Any) -> EventPage:
        """A page of the outbox. `which`: name (patterns such as `order.*`), namespace, task_uuid, status, newest_first,
        limit, cursor."""
        return self.call("list_domain_events", **which)

    def get_domain_event(self, event_id: Id) -> EventInfo:
        """One event. Raises NotFound."""
        return self.call("get_domain_event", event_id=event_id)

    # Who calls ------------------------------------------------------------------------------------------------------

    def get_caller(self) -> Caller:
        """Who the server takes this client for, and what it may."""
        return self.call("get_caller")

    def list_refusals(self, **which: Any) -> list[RefusalInfo]:
        """Refused calls, newest first. `which`: within (seconds, a day), who, reason, limit, offset."""
        return self.call("list_refusals", **which)

    # API keys -------------------------------------------------------------------------------------------------------

    def list_keys(self, **which: Any) -> list[KeyInfo]:
        """Keys, newest first, without their secrets. `which`: every (ended ones too), limit, cursor."""
        return self.call("list_keys", **which)

    def get_key(self, key_id: str) -> KeyInfo:
        """A key, without its secret. Raises ApiKeyNotFound."""
        return self.call("get_key", key_id=key_id)

    def create_key(self, name: str, **about: Any) -> KeyMade:
        """Makes a key, which is shown this once. `about`: permissions, roles, namespaces or all_namespaces,
        expires_in_s or never_expires. Raises Forbidden for what the caller has not itself."""
        return self.call("create_key", name=name, **key_fields("key_id", about))

    def rotate_key(self, key_id: str, **about: Any) -> KeyMade:
        """Makes a key that takes the place of another. `about`: grace_s, expires_in_s or never_expires."""
        return self.call("rotate_key", key_id=key_id, **key_fields("new_key_id", about))

    def revoke_key(self, key_id: str, *, grace_s: float | None = None) -> KeyInfo:
        """Ends a key. Raises ApiKeyNotFound."""
        return self.call("revoke_key", key_id=key_id, grace_s=grace_s)

    # Figures --------------------------------------------------------------------------------------------------------

    def get_performance(self, **scope: Any) -> PerformanceMetrics:
        """How tasks and steps fare. `scope`: hours, or since and until; namespace (or several), name, version."""
        return self.call("get_performance", **scope)

    def get_bottlenecks(self, **scope: Any) -> BottleneckAnalysis:
        """The slowest steps and tasks, and the commonest errors; also limit and min_executions."""
        return self.call("get_bottlenecks", **scope)

    def get_durations(self, **scope: Any) -> list[GroupOfDurations]:
        """How long steps or tasks took, in groups; also by, order, min_executions and limit."""
        return self.call("get_durations", **scope)

    def get_throughput(self, **scope: Any) -> list[IntervalFigures]:
        """What ended in each interval; also interval_s."""
        return self.call("get_throughput", **scope)

    # The fleet ------------------------------------------------------------------------------------------------------

    def list_namespaces(self) -> NamespaceList:
        """Namespaces that have templates."""
        return self.call("list_namespaces")

    def list_handlers(self, *, namespace: str | None = None) -> HandlerList:
        """The handlers that templates need, who serves them, and what waits for them."""
        return self.call("list_handlers", namespace=namespace)

    def list_workers(self, **which: Any) -> WorkerList:
        """The worker processes that live. `which`: ended_within_s (those too that ended lately), limit."""
        return self.call("list_workers", **which)

    def pause_worker(self, session_uuid: Id, **about: Any) -> WorkerActed:
        """Lets a worker finish what it has, and hands it nothing further. `about`: reason, actor, act_id. Raises
        NotFound where no such session lives, ActionForbidden."""
        return self.call("pause_worker", session_uuid=session_uuid, **act_fields(about))

    def drain_worker(self, session_uuid: Id, **about: Any) -> WorkerActed:
        """The same, and then it ends; see pause_worker."""
        return self.call("drain_worker", session_uuid=session_uuid, **act_fields(about))

    def resume_worker(self, session_uuid: Id, **about: Any) -> WorkerActed:
        """Lets a paused worker go on; see pause_worker."""
        return self.call("resume_worker", session_uuid=session_uuid, **act_fields(about))

    def list_queues(self, *, namespace: str | None = None) -> QueueList:
        """Queues, what waits in them, and what is paused."""
        return self.call("list_queues", namespace=namespace)

    def list_pauses(self, **which: Any) -> PauseList:
        """Who paused which queues, when and why, the newest first. `which`: namespace, limit."""
        return self.call("list_pauses", **which)

    def pause_queue(self, namespace: str, **about: Any) -> QueueActed:
        """Pauses the queues of a namespace. `about`: queue, handler (each: only that one), for_s, reason, actor,
        act_id. Raises NotFound for what there is not."""
        return self.call("pause_queue", namespace=namespace, **act_fields(about))

    def resume_queue(self, namespace: str, **about: Any) -> QueueActed:
        """Resumes queues, in the words in which they were paused; see pause_queue. Raises ActionForbidden."""
        return self.call("resume_queue", namespace=namespace, **act_fields(about))

    def get_config(self) -> ConfigResponse:
        """What the server is set to, without its secrets."""
        return self.call("get_config")
