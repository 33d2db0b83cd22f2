"""`tasker task why` at the command line."""

from __future__ import annotations

from cli_shell import Shell

ORDER = ("task", "submit", "shop/order", "--context", '{"item": "cup"}')


def test_why_says_what_a_task_waits_for(shop: Shell) -> None:
    """Why names each condition of each open step, in words and as data; --step picks one."""
    task = shop.ok(*ORDER)["task_uuid"]
    page = shop.run("task", "why", task).out
    assert 'no living worker has the handler "price" in queue "shop"; no worker runs at all' in page
    assert "waits for price (enqueued)" in page
    document = shop.ok("task", "why", task)
    assert [(step["name"], [one["kind"] for one in step["conditions"]]) for step in document["steps"]] == [
        ("price", ["no_worker"]),
        ("charge", ["parents"]),
    ]
    assert [step["name"] for step in shop.ok("task", "why", task, "--step", "charge")["steps"]] == ["charge"]
    assert shop.run("task", "why", task, "--step", "chrge").code == 3


def test_why_of_a_complete_task_is_short(shop: Shell) -> None:
    """A task that is complete waits for nothing."""
    with shop.working(handlers=["price", "charge"]):
        task = shop.ok(*ORDER, "--wait", "--timeout", "30")["task_uuid"]
    assert "it waits for nothing" in shop.run("task", "why", task).out
    assert shop.ok("task", "why", task)["steps"] == []
