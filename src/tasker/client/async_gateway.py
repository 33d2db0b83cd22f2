"""The part of the client by which a worker works through a server: see docs/worker-protocol.md."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from tasker.operations.worker_words import (
    BeatHeard,
    CheckpointsSaved,
    Loaded,
    SessionEnded,
    SessionOpened,
    TurnTaken,
    WorkAwaited,
)


class AsyncGateway(ABC):
    """Methods of AsyncTaskerClient. A call may be sent twice: only a turn is refused then, with TurnSuperseded."""

    @abstractmethod
    async def call(self, operation: str, /, **fields: Any) -> Any:
        """What any operation answers; the client knows how."""

    async def open_worker_session(
        self, session_uuid: UUID, *, name: str, handlers: Sequence[Mapping[str, Any]], **about: Any
    ) -> SessionOpened:
        """Begins a session. `about`: host, pid, queues, namespaces."""
        fields = {"name": name, "handlers": [dict(one) for one in handlers], **about}
        return await self.call("open_worker_session", session_uuid=session_uuid, **fields)

    async def take_worker_turn(self, session_uuid: UUID, *, turn: int, **about: Any) -> TurnTaken:
        """Reports, and takes steps. `about`: outcomes, held, free, claim, may_be_alone, may_wait, wait."""
        return await self.call("take_worker_turn", session_uuid=session_uuid, turn=turn, **about)

    async def beat_worker_session(self, session_uuid: UUID, **about: Any) -> BeatHeard:
        """Keeps the session alive. `about`: is_idle, stale_outcomes, started, held."""
        return await self.call("beat_worker_session", session_uuid=session_uuid, **about)

    async def load_for_worker(self, session_uuid: UUID, **wanted: Any) -> Loaded:
        """What grants did not carry. `wanted`: contexts, results, items, members, checkpoints, templates."""
        return await self.call("load_for_worker", session_uuid=session_uuid, **wanted)

    async def save_worker_checkpoints(
        self, session_uuid: UUID, checkpoints: Sequence[Mapping[str, Any]]
    ) -> CheckpointsSaved:
        """Notes how far steps have come."""
        return await self.call(
            "save_worker_checkpoints", session_uuid=session_uuid, checkpoints=[dict(one) for one in checkpoints]
        )

    async def await_work(self, session_uuid: UUID, *, wait: float) -> WorkAwaited:
        """Waits until there may be work, or for so many seconds."""
        return await self.call("await_work", session_uuid=session_uuid, wait=wait)

    async def end_worker_session(self, session_uuid: UUID, *, reason: str = "stopped") -> SessionEnded:
        """Ends the session."""
        return await self.call("end_worker_session", session_uuid=session_uuid, reason=reason)
