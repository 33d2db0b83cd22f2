"""Reruns, and actions on many tasks, at the command line."""

from __future__ import annotations

from cli_shell import Shell

ORDER = ("task", "submit", "shop/order", "--context", '{"item": "cup"}')


def test_a_task_is_rerun_from_a_step(shop: Shell) -> None:
    """A dry run shows what would be done; the rerun is a task of its own, which knows where it comes from."""
    with shop.working(handlers=["price", "charge"]):
        task = shop.ok(*ORDER, "--wait", "--timeout", "30")["task_uuid"]
    rerun = ("task", "rerun", task, "--from", "charge")
    plan = shop.ok(*rerun, "--dry-run")
    assert plan["task_uuid"] is None
    assert [(step["name"], step["what"]) for step in plan["steps"]] == [("price", "copied"), ("charge", "again")]
    assert "copied" in shop.run(*rerun, "--dry-run").out
    new = shop.run(*rerun, "--patch", '{"item": "pot"}', "--reason", "wrong item").out.strip()
    view = shop.ok("task", "get", new)
    assert (view["context"]["item"], view["results"]) == ("pot", {"price": {"done": True}})
    (fork,) = shop.ok("task", "lineage", task)["forks"]
    assert (fork["task_uuid"], fork["is_edited"], fork["reason"]) == (new, True, "wrong item")
    assert new in shop.run("task", "lineage", new).out
    with shop.working(handlers=["price", "charge"]):
        assert shop.ok("task", "wait", new, "--timeout", "30")["status"] == "complete"
    assert shop.run("task", "rerun", task, "--from", "nothing").code == 3
    assert shop.run("task", "rerun", task, "--from", "charge", "--patch", "[]").code == 6


def test_many_tasks_are_acted_on(shop: Shell) -> None:
    """Without --yes only the number is told; with it each task is acted on, and those that refuse say why."""
    tasks = [shop.ok(*ORDER)["task_uuid"] for _ in range(3)]
    shop.ok("task", "cancel", tasks[0])
    seen = shop.ok("bulk", "run", "pause", "--namespace", "shop")
    assert (seen["count"], seen["newest"]) == (3, tasks[::-1])
    assert (
        "3 tasks are meant; nothing is done: add --yes" in shop.run("bulk", "run", "pause", "--namespace", "shop").out
    )
    ran = shop.run("bulk", "run", "pause", "--namespace", "shop", "--yes", "--json")
    job = ran.json["job"]
    assert (ran.code, job["status"], job["done"], job["refused"]) == (1, "done", 2, 1)
    (refused,) = shop.ok("bulk", "get", job["job_uuid"], "--refused")["items"]
    assert refused["task_uuid"] == tasks[0]
    assert "cannot be paused" in shop.run("bulk", "get", job["job_uuid"]).out
    ran = shop.run("bulk", "run", "resume", "--state", "pending", "--yes")
    assert (ran.code, "2 done" in ran.out) == (0, True)
    assert "resume" in shop.run("bulk", "list").out
    assert shop.run("bulk", "run", "cancel", "--yes").code == 6
    assert shop.run("bulk", "run", "cancel", "--state", "pending", "--tasks-max", "1", "--yes").code == 4


def test_a_job_is_left_and_taken_up_again(shop: Shell) -> None:
    """A detached job waits for a worker, or for resume; a stopped one does nothing more."""
    for _ in range(2):
        shop.ok(*ORDER)
    job = shop.ok("bulk", "run", "cancel", "--state", "pending", "--yes", "--detach")["job"]
    assert (job["status"], job["done"]) == ("running", 0)
    assert shop.ok("bulk", "resume", job["job_uuid"])["job"]["done"] == 2
    assert shop.run("bulk", "resume", job["job_uuid"]).code == 0
    assert shop.ok("bulk", "stop", job["job_uuid"])["was_running"] is False
    assert shop.run("bulk", "stop", job["job_uuid"]).out == "it was not running\n"
    assert len(shop.ok("bulk", "list")["jobs"]) == 1
