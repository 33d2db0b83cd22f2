"""The verbs of a worker, each as a call to a server: docs/worker-protocol.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import orjson

from tasker.remote.line import Line, SessionUnknown
from tasker.store.connection import Connection
from tasker.store.replies import Grant, Reply, Verdict
from tasker.store.verbs import Report, Serving, Verbs

Handlers = Sequence[Mapping[str, Any]]
_SUCCESSES = ("succeeded", "decided", "batched")


class GatewayVerbs(Verbs):
    """Those verbs that workers call, for connections that are lines. `about` is what every session is opened with.

    A session is a number here as everywhere, and its uuid on the line. Turns are numbered in the order of their calls.
    """

    def __init__(self, about: Mapping[str, Any]) -> None:
        super().__init__()
        self._about = about
        self._uuids: dict[int, str] = {}
        self._serving: dict[int, list[tuple[int, str]]] = {}
        self._turn = 0
        self.session_uuid = ""
        """Of the newest session."""
        self.announced_on: Sequence[str] = ()
        """The queues of RabbitMQ on which its work is announced, as the server said last."""
        self.served: frozenset[tuple[str, str]] = frozenset()
        """The namespaces and handlers that it serves."""

    async def open_session(
        self, connection: Connection, session_uuid: UUID, name: str, host: str, pid: int, lease_s: float
    ) -> int:
        """See Verbs. How long its lease is is the server's to say."""
        named = {"session_uuid": str(session_uuid), "name": name, "host": host, "pid": pid}
        answer = await _line(connection).open({**self._about, **named})
        number = len(self._uuids) + 1
        self._uuids[number] = self.session_uuid = str(session_uuid)
        self._serving = {}
        self._hear(number, answer)
        return number

    async def serve(
        self,
        connection: Connection,
        session: int,
        handlers: Sequence[str],
        queues: Sequence[str] | None,
        *,
        system_dependencies: Sequence[str] = (),
    ) -> list[tuple[int, str]]:
        """What the last beat said: the server has looked again with it."""
        return self._serving.get(session, [])

    async def report(
        self,
        connection: Connection,
        session: int,
        report: Report,
        finished_grants: Sequence[int],
        serving: Serving,
        free: Sequence[int],
        *,
        may_wait: bool = False,
        awaited: Sequence[UUID] = (),
    ) -> Reply:
        """See Verbs. The server knows what is served and what is finished, and nobody waits for tasks here."""
        rows = zip(
            report.task_ids,
            report.numbers,
            report.attempts,
            report.kinds,
            report.payloads,
            report.retry_after_s,
            report.run_s,
            strict=True,
        )
        try:
            return await self._take_turn(
                connection,
                session,
                {"outcomes": [_outcome(*row) for row in rows], "free": free, "claim": False, "may_wait": may_wait},
            )
        except SessionUnknown:
            stale = zip(report.task_ids, report.numbers, report.attempts, strict=True)
            return Reply(session_ended=True, verdicts=[Verdict(*one, "stale") for one in stale])

    async def claim(
        self, connection: Connection, session: int, serving: Serving, free: Sequence[int], *, may_be_alone: bool
    ) -> Reply:
        """See Verbs."""
        return await self._turned(connection, session, {"free": free, "may_be_alone": may_be_alone})

    async def regrant(self, connection: Connection, session: int, held: Sequence[tuple[UUID, int, int]]) -> Reply:
        """See Verbs."""
        return await self._turned(connection, session, {"held": [_fence(*one) for one in held], "claim": False})

    async def beat(
        self,
        connection: Connection,
        session: int,
        *,
        is_idle: bool,
        stale_outcomes: int,
        started: Sequence[tuple[UUID, int, int, float]],
        held: Sequence[tuple[UUID, int, int]],
    ) -> Reply:
        """See Verbs."""
        said = {
            "is_idle": is_idle,
            "stale_outcomes": max(0, stale_outcomes),
            "started": [{**_fence(*one[:3]), "ago_s": max(0.0, one[3])} for one in started],
            "held": [_fence(*one) for one in held],
        }
        try:
            answer = await _line(connection).ask(self._uuids[session], "beat", said)
        except SessionUnknown:
            return Reply(session_ended=True)
        if not answer["session_ended"]:
            self._hear(session, answer)
        return Reply(
            gone=_gone(answer),
            idle_peers=answer["idle_peers"],
            session_ended=answer["session_ended"],
            wanted=answer.get("wanted"),
        )

    def _hear(self, session: int, answer: Mapping[str, Any]) -> None:
        self._serving[session] = [(one["channel"], one["handler"]) for one in answer["serving"]]
        self.served = frozenset((one["namespace"], one["handler"]) for one in answer["serving"])
        self.announced_on = answer.get("announced_on", ())  # a server of an older version does not say it

    async def describe_session(
        self, connection: Connection, session: int, version: str, handlers: Sequence[str], versions: Sequence[str]
    ) -> None:
        """The session was opened with all of it."""

    async def load(self, connection: Connection, task_ids: Sequence[UUID], numbers: Sequence[int]) -> Reply:
        """See Verbs."""
        keys = [(str(task_id), number) for task_id, number in zip(task_ids, numbers, strict=True)]
        wanted = {
            "contexts": [task for task, number in keys if number == 0],
            "results": [_of_step(task, number) for task, number in keys if number > 0],
            "items": [_of_step(task, -number) for task, number in keys if number < 0],
        }
        reply = Reply()
        _read_payloads(await self._ask(connection, "load", wanted), reply)
        return reply

    async def load_members(
        self, connection: Connection, task_ids: Sequence[UUID], numbers: Sequence[int]
    ) -> dict[tuple[UUID, int], list[tuple[str, str | None, str | None]]]:
        """See Verbs."""
        wanted = [_of_step(str(task_id), number) for task_id, number in zip(task_ids, numbers, strict=True)]
        answer = await self._ask(connection, "load", {"members": wanted})
        return {
            (UUID(one["task_uuid"]), one["number"]): [
                (member["batch_id"], _text(member["result"]), _text(member["error"])) for member in one["members"]
            ]
            for one in answer["members"]
        }

    async def read_checkpoints(
        self, connection: Connection, task_ids: Sequence[UUID], numbers: Sequence[int]
    ) -> dict[tuple[UUID, int], str]:
        """See Verbs."""
        wanted = [_of_step(str(task_id), number) for task_id, number in zip(task_ids, numbers, strict=True)]
        answer = await self._ask(connection, "load", {"checkpoints": wanted})
        return {
            (UUID(one["task_uuid"]), one["number"]): orjson.dumps(one["checkpoint"]).decode()
            for one in answer["checkpoints"]
        }

    async def read_definition(self, connection: Connection, template_id: int) -> dict[str, Any]:
        """The template of a grant."""
        answer = await self._ask(connection, "load", {"templates": [template_id]})
        return answer["templates"][0]["definition"]

    async def checkpoint(
        self, connection: Connection, session: int, saves: Sequence[tuple[UUID, int, int, str]]
    ) -> list[Verdict]:
        """See Verbs."""
        said = [{**_fence(*one[:3]), **orjson.loads(one[3])} for one in saves]
        answer = await _line(connection).ask(self._uuids[session], "checkpoints", {"checkpoints": said})
        return _verdicts(answer)

    async def end_session(self, connection: Connection, session: int, reason: str, *, is_loss: bool) -> int:
        """See Verbs; nothing is left for a second call."""
        await _line(connection).ask(self._uuids[session], "end", {"reason": reason})
        return 0

    async def live_processes(self, connection: Connection, host: str) -> list[int]:
        """None that would be ours to end: a lease ends the session of a process that died."""
        return []

    async def sweep(self, connection: Connection) -> dict[str, Any]:
        """The server's to do."""
        return {"is_leader": False, "more": False}

    async def prune(self, connection: Connection) -> dict[str, Any]:
        """The same."""
        return {"more": False}

    async def _ask(self, connection: Connection, what: str, body: Mapping[str, Any]) -> Any:
        return await _line(connection).ask(self.session_uuid, what, body)

    async def _turned(self, connection: Connection, session: int, said: Mapping[str, Any]) -> Reply:
        try:
            return await self._take_turn(connection, session, said)
        except SessionUnknown:
            return Reply(session_ended=True)

    async def _take_turn(self, connection: Connection, session: int, said: Mapping[str, Any]) -> Reply:
        self._turn += 1
        answer = await _line(connection).ask(self._uuids[session], "turn", {"turn": self._turn, **said})
        reply = Reply(
            grants=[
                Grant(
                    UUID(one["task_uuid"]),
                    one["number"],
                    one["attempt"],
                    one["tries"],
                    one["template_id"],
                    0,
                    one["is_alone"],
                    one["is_unchecked"],
                )
                for one in answer["grants"]
            ],
            verdicts=_verdicts(answer),
            ended=[(UUID(one["task_uuid"]), one["state"]) for one in answer["ended"]],
            gone=_gone(answer),
            next_due_s=answer["next_due_s"],
            session_ended=answer["session_ended"],
        )
        _read_payloads(answer, reply)
        return reply


def _line(connection: Connection) -> Line:
    """These verbs are called on lines alone."""
    return cast("Line", connection)


def _fence(task_id: UUID, number: int, attempt: int) -> dict[str, Any]:
    return {"task_uuid": task_id, "number": number, "attempt": attempt}


def _of_step(task: str, number: int) -> dict[str, Any]:
    return {"task_uuid": task, "number": number}


def _outcome(
    task_id: UUID, number: int, attempt: int, kind: str, payload: str | None, retry_after_s: float | None, run_s: float
) -> dict[str, Any]:
    said = {**_fence(task_id, number, attempt), "kind": kind, "retry_after_s": retry_after_s, "run_s": max(0.0, run_s)}
    if payload is not None:
        said["result" if kind in _SUCCESSES else "error"] = orjson.Fragment(payload)
    return said


def _read_payloads(answer: Mapping[str, Any], reply: Reply) -> None:
    for one in answer["contexts"]:
        task_id = UUID(one["task_uuid"])
        reply.inputs[task_id] = orjson.dumps(one["context"]).decode()
        if one["correlation_id"] is not None:
            reply.correlation_ids[task_id] = UUID(one["correlation_id"])
    for one in answer["results"]:
        found = reply.results.setdefault(UUID(one["task_uuid"]), {})
        found[one["number"]] = orjson.dumps(one["result"]).decode()
    for one in answer["items"]:
        reply.items[UUID(one["task_uuid"]), one["number"]] = one["batch_id"], _text(one["item"])


def _verdicts(answer: Mapping[str, Any]) -> list[Verdict]:
    return [
        Verdict(UUID(one["task_uuid"]), one["number"], one["attempt"], one["verdict"]) for one in answer["verdicts"]
    ]


def _gone(answer: Mapping[str, Any]) -> list[tuple[UUID, int, int]]:
    return [(UUID(one["task_uuid"]), one["number"], one["attempt"]) for one in answer["gone"]]


def _text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
