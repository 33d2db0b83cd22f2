"""Tasks over gRPC."""

from __future__ import annotations

from grpc_support import Client, state


async def test_a_task_runs_to_its_end(client: Client) -> None:
    """What is created is worked on, and shown with its figures, its steps and its data."""
    made = await client.finished(context={"amount": 3})
    found = await client.call(
        "TaskService", "GetTask", task_uuid=made.task_uuid, include_steps=True, include_context=True
    )
    print(found)
    assert state(found.task) == "TASK_STATE_COMPLETE"
