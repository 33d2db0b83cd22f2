"""The gateway: workers on the network, in any language, work through a server. docs/worker-protocol.md is for them.

A session belongs to the caller who opened it, and works for namespaces that this caller reaches. The verbs that are
called here look after both, and after the fence: nothing of a worker is kept in this process. (`worker_turns` has the
turn itself.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import orjson

from tasker.model.errors import InvalidInput, NotStarted, PayloadTooLarge
from tasker.operations import worker_answers as answers
from tasker.operations import worker_words as words
from tasker.operations.registry import Access, Scope, operation
from tasker.operations.turning import Turning
from tasker.store.connection import Connection
from tasker.store.errors import DatabaseError, refusal
from tasker.store.remote import RemoteVerbs, Served, Whose
from tasker.store.replies import Reply
from tasker.store.verbs import Verbs

PERMISSION = "gateway:work"


class Session:
    """A session, for the caller who says that it is theirs."""

    def __init__(self, access: Access, session_uuid: UUID) -> None:
        principal, engine = access.principal, access.engine
        reached = None if principal.namespaces is None else sorted(principal.namespaces)
        self.whose = Whose(session_uuid, f"{principal.kind}:{principal.key or principal.subject}", reached)
        self.settings = engine.settings
        self.verbs = Verbs(engine.settings.schema_name)
        self.remote = RemoteVerbs(engine.settings.schema_name)
        if engine.turning is None:
            raise NotStarted
        self.turning: Turning = engine.turning

    async def find(self, connection: Connection) -> int:
        """Its number. Raises NotFound."""
        return await self.remote.find(connection, self.whose)

    async def serving(self, connection: Connection, number: int) -> tuple[list[Served], list[str]]:
        """The channels that it serves by now, and the queues of RabbitMQ on which their work is announced."""
        return await self.remote.serve(connection, number), await self.remote.queues(connection, number)


@operation(PERMISSION, Scope.ACROSS)
async def open_worker_session(access: Access, given: words.OpenSession) -> words.SessionOpened:
    """Begin a worker's session: with the handlers that it has, for namespaces that the caller reaches

    The same session_uuid again answers the same session, until it has ended.
    """
    session, settings = Session(access, given.session_uuid), access.engine.settings
    reached = access.confined_to(None)
    if given.namespaces is not None:
        for namespace in given.namespaces:
            access.require(namespace)
        reached = given.namespaces

    async def opened(connection: Connection) -> tuple[list[Served], list[str]]:
        number = await session.remote.open(
            connection,
            session.whose._replace(namespaces=reached),
            name=given.name,
            host=given.host,
            pid=given.pid,
            lease_s=settings.lease_s,
            handlers=[one.name for one in given.handlers],
            pools=[one.pool for one in given.handlers],
            system_dependencies=[one.system_dependency for one in given.handlers],
            queues=given.queues,
        )
        named = [one for one in given.handlers if one.version] or given.handlers  # not the other ways to name them
        names, versions = [one.name for one in named], [one.version for one in named]
        await session.verbs.describe_session(connection, number, given.version, names, versions)
        return await session.serving(connection, number)

    serving, queues = await session.turning.ask(opened)
    return words.SessionOpened(
        session_uuid=given.session_uuid,
        lease_s=settings.lease_s,
        beat_s=settings.beat_s,
        wait_s_max=settings.wait_s_max,
        result_bytes_max=settings.result_bytes_max,
        checkpoint_bytes_max=settings.checkpoint_bytes_max,
        request_bytes_max=settings.request_bytes_max,
        serving=[words.Served.model_validate(one) for one in serving],
        announced_on=queues,
    )


@operation(PERMISSION, Scope.ACROSS)
async def beat_worker_session(access: Access, given: words.Beat) -> words.BeatHeard:
    """Keep a worker's session alive, and hear which attempts it holds in vain"""
    session = Session(access, given.session_uuid)
    started = [(one.task_uuid, one.number, one.attempt, one.ago_s) for one in given.started]
    held = [(one.task_uuid, one.number, one.attempt) for one in given.held]

    async def beaten(connection: Connection) -> tuple[Reply, list[Served], list[str]]:
        number = await session.find(connection)
        reply = await session.verbs.beat(
            connection,
            number,
            is_idle=given.is_idle,
            stale_outcomes=given.stale_outcomes,
            started=started,
            held=held,
        )
        if reply.session_ended:
            return reply, [], []
        return reply, *await session.serving(connection, number)

    reply, serving, queues = await session.turning.ask(beaten)
    return words.BeatHeard(
        session_ended=reply.session_ended,
        gone=answers.gone(reply),
        idle_peers=reply.idle_peers,
        serving=[words.Served.model_validate(one) for one in serving],
        announced_on=queues,
        wanted=cast("Any", reply.wanted),
    )


@operation(PERMISSION, Scope.ACROSS)
async def load_for_worker(access: Access, given: words.Load) -> words.Loaded:
    """Load what grants did not carry, of tasks of which the session holds a step"""
    session = Session(access, given.session_uuid)
    wanted = [
        *((task_uuid, 0) for task_uuid in given.contexts),
        *((one.task_uuid, one.number) for one in given.results),
        *((one.task_uuid, -one.number) for one in given.items),
    ]
    remote, whose = session.remote, session.whose

    async def loaded(connection: Connection) -> words.Loaded:
        reply = await remote.load(connection, whose, *_pairs(wanted)) if wanted else Reply()
        members = await remote.members(connection, whose, *_pairs(_keys(given.members))) if given.members else {}
        states = await remote.checkpoints(connection, whose, *_pairs(_keys(given.checkpoints)))
        definitions = await remote.templates(connection, whose, given.templates)
        return words.Loaded(
            contexts=answers.contexts(reply),
            results=answers.results(reply),
            items=answers.items(reply),
            members=[answers.batch_members(key, found) for key, found in members.items()],
            checkpoints=[
                words.StepCheckpoint(task_uuid=key[0], number=key[1], checkpoint=orjson.loads(text))
                for key, text in states.items()
            ],
            templates=[
                words.TemplateDefinition(template_id=number, definition=definition)
                for number, definition in definitions.items()
            ],
        )

    return await session.turning.ask(loaded)


@operation(PERMISSION, Scope.ACROSS)
async def save_worker_checkpoints(access: Access, given: words.SaveCheckpoints) -> words.CheckpointsSaved:
    """Note how far steps have come, each under the fence of its attempt"""
    session = Session(access, given.session_uuid)
    saves = [_save(one, session.settings.checkpoint_bytes_max) for one in given.checkpoints]

    async def saved(connection: Connection) -> words.CheckpointsSaved:
        verdicts = await session.remote.checkpoint(connection, session.whose, saves)
        return words.CheckpointsSaved(verdicts=answers.verdicts(verdicts))

    try:
        return await session.turning.ask(saved)
    except DatabaseError as error:
        if refusal(error) != "data":
            raise
        raise InvalidInput("the database cannot keep one of these checkpoints: send them one by one") from error


@operation(PERMISSION, Scope.ACROSS)
async def await_work(access: Access, given: words.AwaitWork) -> words.WorkAwaited:
    """Wait until there may be work, or for so many seconds; nothing is granted"""
    session = Session(access, given.session_uuid)
    seen = session.turning.wakes
    await session.turning.ask(session.find)
    woken = await session.turning.beyond(seen, min(given.wait, session.settings.wait_s_max))
    return words.WorkAwaited(woken=woken)


@operation(PERMISSION, Scope.ACROSS)
async def end_worker_session(access: Access, given: words.EndSession) -> words.SessionEnded:
    """End a worker's session: what it holds is others' to run, and spends no try"""
    session = Session(access, given.session_uuid)

    async def ended(connection: Connection) -> int:
        number, released = await session.find(connection), 0
        while some := await session.verbs.end_session(connection, number, given.reason, is_loss=False):
            released += some
        return released

    return words.SessionEnded(released=await session.turning.ask(ended))


def _save(said: words.CheckpointSaid, bytes_max: int) -> tuple[UUID, int, int, str]:
    state = {"cursor": said.cursor, "items_processed": said.items_processed, "accumulated": said.accumulated}
    text = orjson.dumps(state)
    if len(text) > bytes_max:
        raise PayloadTooLarge(
            f"the checkpoint of step {said.number} of task {said.task_uuid} has {len(text)} bytes as JSON, the limit "
            f"is {bytes_max}: keep what is accumulated elsewhere (TASKER_CHECKPOINT_BYTES_MAX)"
        )
    return said.task_uuid, said.number, said.attempt, text.decode()


def _keys(steps: Sequence[words.OfStep]) -> list[tuple[UUID, int]]:
    return [(one.task_uuid, one.number) for one in steps]


def _pairs(keys: Sequence[tuple[UUID, int]]) -> tuple[list[UUID], list[int]]:
    """As parallel arrays."""
    return [key[0] for key in keys], [key[1] for key in keys]
