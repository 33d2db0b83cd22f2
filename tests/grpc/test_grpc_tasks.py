"""Tasks over gRPC: creating, finding, ending and watching them."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import published
import pytest
from grpc import aio
from grpc_support import NOBODY, Client, detail_of, state


async def _refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """The status and message of a call that must fail."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    assert detail_of(caught.value).message == caught.value.details()
    return caught.value.code(), caught.value.details() or ""


async def test_stubs_that_exist_work(client: Client) -> None:
    """A client that knows the published services alone creates a task, watches it to its end, and reads it."""
    create, get = (published.call(client.channel, f"TaskService/{name}") for name in ("CreateTask", "GetTask"))
    request = published.message("CreateTaskRequest")(name="order", namespace="shop", initiator="ada", reason="r")
    request.context.update({"amount": 3, "lines": [{"sku": "a"}]})
    made = (await create(request)).task
    watch = published.call(client.channel, "TaskService/StreamTaskStatus")
    updates = [one async for one in watch(published.message("StreamTaskStatusRequest")(task_uuid=made.task_uuid))]
    assert updates[-1].update_type == updates[-1].UPDATE_TYPE_TASK_COMPLETE
    assert not any(one.HasField("step_update") for one in updates)
    wanted = published.message("GetTaskRequest")(task_uuid=made.task_uuid, include_steps=True, include_context=True)
    found = await get(wanted)
    assert (found.task.completed_steps, found.task.initiator, found.task.reason) == (2, "ada", "r")
    assert [step.name for step in found.steps] == ["check", "charge"]
    assert found.context.outputs["charge"]["paid"] is True
    assert found.task.context["lines"][0]["sku"] == "a"


async def test_a_key_makes_one_task(idle_client: Client) -> None:
    """The same key with the same content is the same task; with other content a conflict that names it."""
    first = await idle_client.create(idempotency_key="k", context={"a": 1})
    again = await idle_client.create(idempotency_key="k", context={"a": 1})
    assert (again.task_uuid, first.is_duplicate, again.is_duplicate) == (first.task_uuid, False, True)
    with pytest.raises(aio.AioRpcError) as caught:
        await idle_client.create(idempotency_key="k", context={"a": 2})
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert detail_of(caught.value).metadata["task_uuid"] == first.task_uuid


async def test_whole_numbers_stay_whole(client: Client) -> None:
    """A whole number of a Struct, which is a double, reaches a handler as an integer; another as it is."""
    made = await client.finished(context={"amount": 3, "half": 0.5, "none": None, "huge": 1e300})
    context = await client.call(
        "OperationService", "Call", operation="get_task_context", given={"task_uuid": made.task_uuid}
    )
    inputs = context.answer.struct_value["inputs"]
    assert (inputs["amount"], inputs["half"], inputs["none"], inputs["huge"]) == (3, 0.5, None, 1e300)


async def test_a_task_is_waited_for(client: Client) -> None:
    """With wait_s the answer comes when the task has ended, however it did."""
    assert state(await client.finished(context={"amount": -1})) == "TASK_STATE_ERROR"


async def test_a_list_goes_on_where_it_ended(idle_client: Client) -> None:
    """Offsets, also between two pages, and cursors lead through the same tasks; counts are those of all."""
    made = [(await idle_client.create(reason=str(number))).task_uuid for number in range(7)][::-1]
    for offset, limit in ((0, 3), (3, 3), (2, 3), (5, 3), (6, 5), (7, 2), (9, 4)):
        page = await idle_client.call("TaskService", "ListTasks", pagination={"limit": limit, "offset": offset})
        assert [one.task_uuid for one in page.tasks] == made[offset : offset + limit], (offset, limit)
        said = page.pagination
        assert (said.total, said.count, said.offset) == (7, len(page.tasks), offset)
        assert said.has_more == (offset + limit < 7), (offset, limit)
    seen, cursor = [], None
    while True:
        part = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        page = await idle_client.call("TaskService", "ListTasks", pagination=part)
        seen += [one.task_uuid for one in page.tasks]
        if not page.pagination.HasField("next_cursor"):
            break
        cursor = page.pagination.next_cursor
    assert seen == made
    assert page.pagination.total == -1


@pytest.mark.parametrize(
    "fields",
    [
        {"pagination": {"limit": 0}}, {"pagination": {"limit": 101}}, {"pagination": {"offset": -1}},
        {"pagination": {"cursor": "none"}}, {"pagination": {"cursor": "a", "offset": 3}}, {"states": [0]},
        {"states": [99]}, {"sort": {"field": "name"}}, {"sort": {"field": "created_at", "direction": 1}},
        {"correlation_id": "x"}, {"created_at": {"start": {"seconds": 10**15}}}, {"field": ["a"]},
    ],
)  # fmt: skip
async def test_a_wrong_filter_is_told(idle_client: Client, fields: dict[str, Any]) -> None:
    """What cannot be filtered or sorted by is an error, and never a list of something else."""
    code, message = await _refused(idle_client.call("TaskService", "ListTasks", **fields))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message


async def test_a_task_ends_once(idle_client: Client) -> None:
    """A cancelled task says so; a second time, and of a task that there is not, the status says why not."""
    made = await idle_client.create()
    gone = await idle_client.call("TaskService", "CancelTask", task_uuid=made.task_uuid, reason="rain")
    assert (gone.success, state(gone.task)) == (True, "TASK_STATE_CANCELLED")
    code, _ = await _refused(idle_client.call("TaskService", "CancelTask", task_uuid=made.task_uuid))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    code, message = await _refused(idle_client.call("TaskService", "GetTask", task_uuid=NOBODY))
    assert code is grpc.StatusCode.NOT_FOUND
    assert NOBODY in message


async def test_a_stream_pushes_what_changes(client: Client) -> None:
    """The stream tells each step and the task as they move, and ends with the task; it goes on from a cursor."""
    made = await client.create(context={"amount": -1})
    path = ("TaskService", "StreamTaskStatus")
    updates = [one async for one in client.stream(*path, task_uuid=made.task_uuid, include_steps=True)]
    last = updates[-1]
    assert (last.update_type, last.is_last) == (last.UPDATE_TYPE_TASK_ERROR, True)
    steps = {one.step_update.name: one for one in updates if one.HasField("step_update")}
    assert state(steps["charge"].step_update) == "STEP_STATE_ERROR"
    assert "negative" in steps["charge"].error_message
    again = [one async for one in client.stream(*path, task_uuid=made.task_uuid, cursor=last.cursor)]
    assert [one.is_last for one in again] == [True]


async def test_a_cancelled_task_ends_its_stream(idle_client: Client) -> None:
    """Every end is an end: also that of a cancelled task."""
    made = await idle_client.create()
    stream = idle_client.stream("TaskService", "StreamTaskStatus", task_uuid=made.task_uuid)
    updates = aiter(stream)
    first = await anext(updates)
    assert first.task_state == made.state
    await idle_client.call("TaskService", "CancelTask", task_uuid=made.task_uuid)
    rest = [one async for one in updates]
    assert rest[-1].is_last
    assert rest[-1].update_type == rest[-1].UPDATE_TYPE_TASK_STATE_CHANGE


async def test_a_stream_of_nothing_is_refused(idle_client: Client) -> None:
    """A task that there is not, and a cursor of nobody, are errors of the call."""
    stream = idle_client.stream("TaskService", "StreamTaskStatus", task_uuid=NOBODY)
    assert (await _refused(stream.read()))[0] is grpc.StatusCode.NOT_FOUND
    stream = idle_client.stream("TaskService", "StreamTaskStatus", task_uuid=NOBODY, cursor="x")
    assert (await _refused(stream.read()))[0] is grpc.StatusCode.INVALID_ARGUMENT


async def test_two_that_watch_see_the_same(client: Client) -> None:
    """Streams are apart: each who watches is told the end."""
    made = await client.create()

    async def end() -> int:
        stream = client.stream("TaskService", "StreamTaskStatus", task_uuid=made.task_uuid)
        return [one async for one in stream][-1].update_type

    assert len(set(await asyncio.gather(*(end() for _ in range(3))))) == 1
