"""`tasker dlq` at the command line."""

from __future__ import annotations

from cli_shell import Shell
from support.engine import Engine

ORDER = ("task", "submit", "shop/order", "--context", '{"item": "cup"}')


async def price_is_tried_twice(engine: Engine) -> None:
    """The first step uses up its tries; the sweep notices."""
    engine.advance(1)
    session = await engine.session(["price"])
    for _ in range(2):
        await session.retry(*await session.claim())
        engine.advance(1)
    await engine.sweep_all()


def test_a_task_in_the_queue_is_looked_after(shop: Shell) -> None:
    """An entry is listed, assigned, noted, and its task tried again."""
    task = shop.ok(*ORDER)["task_uuid"]
    shop.drive(price_is_tried_twice)
    (entry,) = shop.ok("dlq", "list", "--status", "pending")["entries"]
    assert (entry["task_uuid"], entry["reason"]) == (task, "max_retries_exceeded")
    name = entry["entry_uuid"]
    assert name in shop.run("dlq", "queue").out
    assert shop.ok("dlq", "queue")["entries"][0]["priority_score"] >= 500
    done = shop.ok("dlq", "update", name, "--assign", "grace", "--notes", "gateway", "--actor", "ada")
    assert (done["entry"]["assigned_to"], done["entry"]["notes"]) == ("grace", "gateway")
    assert shop.run("dlq", "update", name).code == 2
    page = shop.run("dlq", "get", name).out
    for said in ("notes: gateway", "assigned", "handler_error: it broke", "grace"):
        assert said in page
    assert [event["actor"] for event in shop.ok("dlq", "get", name)["events"]] == ["tasker", "ada"]
    assert shop.run("dlq", "requeue", name, "--reason", "back").out == "1 step is tried again\n"
    assert shop.run("dlq", "requeue", name).code == 4
    stats = {one["reason"]: one for one in shop.ok("dlq", "stats")["reasons"]}
    assert stats["max_retries_exceeded"]["manually_resolved"] == 1
    assert "staleness_timeout" in shop.run("dlq", "stats").out


def test_any_task_may_be_put_into_the_queue(shop: Shell) -> None:
    """A task is put in by hand; its entry may be resolved; what is not there is not found."""
    task = shop.ok(*ORDER)["task_uuid"]
    name = shop.ok("dlq", "add", task, "--notes", "look")["entry_uuid"]
    assert shop.run("dlq", "add", task).out.strip() == name
    ran = shop.run("dlq", "update", name, "--status", "permanently_failed")
    assert ran.out == f"entry {name} is permanently_failed\n"
    assert shop.ok("dlq", "list", "--status", "pending")["entries"] == []
    assert shop.run("dlq", "list", "--namespace", "nowhere").out == "no entries\n"
    assert shop.run("dlq", "get", task).code == shop.run("dlq", "add", name).code == 3
    assert shop.ok("dlq", "stale")["tasks"][0]["health"] == "healthy"
    assert task in shop.run("dlq", "stale").out
