"""`tasker analytics` and `tasker task analyze` at the command line."""

from __future__ import annotations

from cli_shell import Shell

ORDER = ("task", "submit", "shop/order", "--context", '{"item": "cup"}')


def test_figures_over_a_time(shop: Shell) -> None:
    """Each command tells its figures, in a table and as a document."""
    with shop.working(handlers=["price", "charge"]):
        shop.ok(*ORDER, "--wait", "--timeout", "30")
    since = ("--since", "1h")
    assert shop.ok("analytics", "tasks", *since)["durations"][0]["count"] == 1
    by_step = shop.ok("analytics", "durations", *since)["durations"]
    assert {one["step"] for one in by_step} == {"price", "charge"}
    assert "shop/order@1.0.0 price" in shop.run("analytics", "durations", *since).out
    by_handler = shop.ok("analytics", "durations", *since, "--by", "handler", "--order", "count")
    assert {one["handler"] for one in by_handler["durations"]} == {"price", "charge"}
    assert "shop/order@1.0.0" in shop.run("analytics", "tasks", *since).out
    assert "no step failed for good" in shop.run("analytics", "bottlenecks", *since).out
    assert len(shop.ok("analytics", "bottlenecks", *since)["slow_steps"]) == 2
    intervals = shop.ok("analytics", "throughput", *since, "--interval", "600")["intervals"]
    assert sum(one["completed"] for one in intervals) == 1
    assert "p95" in shop.run("analytics", "throughput", *since).out
    assert shop.ok("analytics", "performance", "--until", "1h", "--namespace", "nowhere")["ended"] == 0
    assert "tasks ended since" in shop.run("analytics", "performance").out


def test_a_task_is_analyzed(shop: Shell) -> None:
    """An analysis tells levels and ways."""
    task = shop.ok(*ORDER)["task_uuid"]
    assert shop.ok("task", "analyze", task)["remaining_path"] == ["price", "charge"]
    page = shop.run("task", "analyze", task).out
    assert "still to go:       price → charge" in page
    assert "bottleneck" in page
