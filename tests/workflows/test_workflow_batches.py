"""Work in parts, as users write it: a file of rows, a failure in the middle, a list of items, branches with batches."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from workflow_history import HANDED_OVER, Begin, moves, run

from tasker import (
    Batch,
    Batches,
    BatchResults,
    Decision,
    PermanentError,
    RetryableError,
    StepContext,
    StepHandler,
    depends_on,
    inputs,
    step_handler,
)

ROWS = 1_000
IN_PARTS = ["in_progress>pending", "pending>complete"]
INVENTORY = """
tasker: 1
namespace_name: parts
name: inventory
version: 1.0.0
steps:
  - {name: scan, handler: scan, type: batchable}
  - name: tally
    handler: tally
    type: batch_worker
    dependencies: [scan]
    batch_config: {batch_size: 200, parallelism: 5}
    retry: {backoff: none}
  - {name: total, handler: total, type: deferred_convergence, dependencies: [tally]}
"""


def _stock(path: Path, rows: int) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sku", "price", "pieces"])
        writer.writerows([f"sku-{n:04}", n % 50, n % 7] for n in range(rows))


@step_handler("scan")
@inputs("file")
def scan(file: str, context: StepContext) -> Batches:
    """Counts the rows of the file."""
    with Path(file).open() as lines:
        rows = sum(1 for _ in lines) - 1
    return Batches.split(rows, context.batch_size) if rows else Batches.none("the file is empty")


@step_handler("tally")
@inputs("file")
def tally(file: str, batch: Batch) -> dict[str, Any]:
    """Adds up its own rows, and says which they were."""
    if batch.is_no_op:
        return {"rows": 0, "value": 0, "first": None}
    with Path(file).open(newline="") as lines:
        rows = list(csv.DictReader(lines))[batch.start : batch.end]
    return {
        "rows": len(rows),
        "value": sum(int(row["price"]) * int(row["pieces"]) for row in rows),
        "first": rows[0]["sku"],
    }


@step_handler("total")
@depends_on(parts="tally")
async def total(parts: BatchResults) -> dict[str, Any]:
    """Puts the parts together."""
    return {
        "rows": sum(part["rows"] for part in parts),
        "value": sum(part["value"] for part in parts),
        "firsts": [part["first"] for part in parts],
        "workers": parts.total,
        "succeeded": parts.succeeded,
    }


async def test_a_file_of_a_thousand_rows_in_five_parts(begin: Begin, database: str, tmp_path: Path) -> None:
    """Each worker does its own 200 rows once, side by side; the convergence sees all five, in order."""
    _stock(tmp_path / "stock.csv", ROWS)
    tasker = await begin(INVENTORY, [scan, tally, total])
    done = await run(tasker, "inventory", "parts", file=str(tmp_path / "stock.csv"))
    assert done.status == "complete", done.errors
    assert done.results["total"] == {
        "rows": ROWS,
        "value": sum((n % 50) * (n % 7) for n in range(ROWS)),
        "firsts": ["sku-0000", "sku-0200", "sku-0400", "sku-0600", "sku-0800"],
        "workers": 5,
        "succeeded": 5,
    }
    assert done.results["tally"] == {"total": 5, "succeeded": 5, "failed": 0, "items": ROWS}
    assert {step.name: (step.attempt, step.tries) for step in done.steps if step.name.startswith("tally_")} == {
        f"tally_{number:03}": (1, 1) for number in range(1, 6)
    }
    assert moves(database, done.task_uuid, "tally")[-2:] == IN_PARTS
    assert moves(database, done.task_uuid, "total") == HANDED_OVER
    [progress] = await tasker.batches(done.task_uuid)
    assert (progress.succeeded, progress.items_done, progress.share, progress.ends_at) == (5, ROWS, 1.0, None)


async def test_an_empty_file_has_one_worker_that_does_nothing(begin: Begin, tmp_path: Path) -> None:
    """The convergence runs as ever."""
    _stock(tmp_path / "empty.csv", 0)
    tasker = await begin(INVENTORY, [scan, tally, total])
    done = await run(tasker, "inventory", "parts", file=str(tmp_path / "empty.csv"))
    assert done.results["total"] == {"rows": 0, "value": 0, "firsts": [None], "workers": 1, "succeeded": 1}
    assert [step.name for step in done.steps] == ["scan", "tally", "total", "tally_000"]


async def test_a_part_that_failed_in_its_middle_goes_on_there(begin: Begin, tmp_path: Path) -> None:
    """The second attempt begins at the checkpoint: no row is done twice after it was saved, and none is left out."""
    _stock(tmp_path / "stock.csv", ROWS)
    seen: list[int] = []

    @step_handler("tally")
    async def fragile(batch: Batch, context: StepContext) -> dict[str, Any]:
        for row in range(context.checkpoint_cursor or batch.start, batch.end):
            if row == 450 and not context.is_retry():
                raise RetryableError("the file server is away")
            seen.append(row)
            await context.save_checkpoint(row + 1, items_processed=row + 1 - batch.start)
        return {"rows": batch.end - batch.start, "value": 0, "first": batch.batch_id}

    tasker = await begin(INVENTORY, [scan, fragile, total])
    done = await run(tasker, "inventory", "parts", file=str(tmp_path / "stock.csv"))
    assert done.results["total"]["rows"] == ROWS
    assert sorted(seen) == list(range(ROWS))
    assert {step.name: step.tries for step in done.steps if step.tries > 1} == {"tally_003": 2}


@pytest.mark.parametrize(("strategy", "status"), [("isolate", "complete"), ("continue_on_failure", "error")])
async def test_what_follows_sees_what_failed(begin: Begin, tmp_path: Path, strategy: str, status: str) -> None:
    """The results are in order with a gap, and the errors stand beside them."""
    _stock(tmp_path / "stock.csv", ROWS)

    @step_handler("tally")
    async def picky(batch: Batch) -> dict[str, int]:
        if batch.batch_id == "002":
            raise PermanentError("unreadable", error_code="BAD_ROW")
        return {"rows": batch.size or 0}

    @step_handler("total")
    @depends_on(parts="tally")
    async def look(parts: BatchResults) -> dict[str, Any]:
        codes = {id: error["error_code"] for id, error in parts.errors.items()}
        return {"missing": [part is None for part in parts], "codes": codes, "ids": list(parts.by_id)}

    config = INVENTORY.replace("parallelism: 5", f"parallelism: 5, failure_strategy: {strategy}")
    tasker = await begin(config, [scan, picky, look])
    done = await run(tasker, "inventory", "parts", file=str(tmp_path / "stock.csv"))
    assert done.status == status
    assert done.results["total"] == {
        "missing": [False, True, False, False, False],
        "codes": {"002": "BAD_ROW"},
        "ids": ["001", "003", "004", "005"],
    }


class Regions(StepHandler):
    """Cuts by names, which are no numbers."""

    def call(self, context: StepContext) -> Any:
        return Batches.ranges([("a", "k", 10), ("k", "z", 20)], since="2026-01-01T00:00:00Z")


class Region(StepHandler):
    """One range of names."""

    def call(self, context: StepContext) -> Any:
        assert context.batch is not None
        return {"from": context.batch.start, "since": context.get_dependency_field("regions", "since")}


class Gather(StepHandler):
    """Finds the members by the beginning of their names, and one by its name."""

    def call(self, context: StepContext) -> Any:
        return {
            "all": context.get_all_dependency_results("region_"),
            "second": context.get_dependency_result("region_002"),
            "size": context.get_dependency_result("region").items,
        }


async def test_cursors_may_be_text_and_handlers_classes(begin: Begin) -> None:
    """Members read what came before the batch, and what follows finds them by their names."""
    text = """
tasker: 1
namespace_name: parts
name: regions
version: 1.0.0
steps:
  - {name: regions, handler: Regions, type: batchable}
  - {name: region, handler: Region, type: batch_worker, dependencies: [regions]}
  - {name: gather, handler: Gather, dependencies: [region]}
"""
    tasker = await begin(text, [Regions, Region, Gather])
    done = await run(tasker, "regions", "parts")
    second = {"from": "k", "since": "2026-01-01T00:00:00Z"}
    assert done.results["gather"] == {"all": [{**second, "from": "a"}, second], "second": second, "size": 30}


async def test_a_step_for_each_item_of_a_list(begin: Begin) -> None:
    """Each item once, with its place; the results come in the order of the list. A large list is loaded by nobody."""

    @step_handler("load")
    async def load(context: StepContext) -> dict[str, Any]:
        return {"page": {"orders": [{"id": n, "note": "x" * 200} for n in range(context.get_input("n"))]}}

    @step_handler("charge")
    async def charge(item: dict[str, Any], item_index: int, context: StepContext) -> dict[str, Any]:
        assert "load" not in context.get_dependency_result_keys()
        return {"id": item["id"], "place": item_index}

    @step_handler("report")
    @depends_on(charges=("charge", list[dict[str, int]]))
    async def report(charges: list[dict[str, int]]) -> dict[str, Any]:
        return {"ids": [charge["id"] for charge in charges], "places": [charge["place"] for charge in charges]}

    text = """
tasker: 1
namespace_name: parts
name: charges
version: 1.0.0
steps:
  - {name: load, handler: load}
  - {name: charge, handler: charge, for_each: load.page.orders, dependencies: [load], batch_config: {parallelism: 50}}
  - {name: report, handler: report, dependencies: [charge]}
"""
    tasker = await begin(text, [load, charge, report])
    for count in (0, 1, 500):
        done = await run(tasker, "charges", "parts", n=count)
        assert done.status == "complete", done.errors
        assert done.results["report"] == {"ids": list(range(count)), "places": list(range(count))}


@pytest.mark.parametrize("chosen", ["even", "odd"])
async def test_a_diamond_a_decision_and_a_batch(begin: Begin, chosen: str) -> None:
    """A decision after a join chooses between two ways, each of which cuts its own work."""
    ways = "".join(
        f"""
  - {{name: cut_{way}, handler: cut, type: batchable, dependencies: [route]}}
  - {{name: do_{way}, handler: do, type: batch_worker, dependencies: [cut_{way}], batch_config: {{parallelism: 2}}}}
  - {{name: sum_{way}, handler: sum, type: deferred_convergence, dependencies: [do_{way}]}}"""
        for way in ("even", "odd")
    )
    text = f"""
tasker: 1
namespace_name: parts
name: mixture
version: 1.0.0
steps:
  - {{name: start, handler: start}}
  - {{name: left, handler: start, dependencies: [start]}}
  - {{name: right, handler: start, dependencies: [start]}}
  - {{name: route, handler: route, type: decision, dependencies: [left, right]}}{ways}
  - {{name: end, handler: start, type: deferred_convergence, dependencies: [sum_even, sum_odd]}}
"""
    handlers: dict[str, Callable[[StepContext], Any]] = {
        "start": lambda context: {},
        "route": lambda context: Decision.route(f"cut_{chosen}"),
        "cut": lambda context: Batches.split(30, 10),
        "do": lambda context: {"rows": context.batch.size if context.batch else 0},
        "sum": lambda context: {"rows": sum(part["rows"] for part in context.get_dependency_result(f"do_{chosen}"))},
    }
    tasker = await begin(text, [_named(name, function) for name, function in handlers.items()])
    done = await run(tasker, "mixture", "parts")
    assert done.status == "complete", done.errors
    assert done.results[f"sum_{chosen}"] == {"rows": 30}
    other = "odd" if chosen == "even" else "even"
    assert {step.name for step in done.steps if step.is_not_taken} == {f"cut_{other}", f"do_{other}", f"sum_{other}"}


def _named(name: str, function: Callable[[StepContext], Any]) -> Callable[..., Any]:
    @step_handler(name)
    def handler(context: StepContext) -> Any:
        return function(context)

    return handler


async def test_a_batchable_step_that_says_nothing_fails(begin: Begin) -> None:
    """So does a step of another type that returns Batches."""

    @step_handler("cut")
    async def silent(context: StepContext) -> dict[str, int]:
        return {"rows": 3}

    @step_handler("plain")
    async def plain(context: StepContext) -> Batches:
        return Batches.split(3, 1)

    text = """
tasker: 1
namespace_name: parts
name: wrong
version: 1.0.0
steps:
  - {name: cut, handler: cut, type: batchable}
  - {name: work, handler: plain, type: batch_worker, dependencies: [cut]}
  - {name: plain, handler: plain}
"""
    tasker = await begin(text, [silent, plain])
    done = await run(tasker, "wrong", "parts")
    assert {name: error["error_code"] for name, error in done.errors.items()} == {
        "cut": "invalid_batch",
        "plain": "invalid_batch",
    }
    assert "returned no Batches" in done.errors["cut"]["message"]
    assert "type: batchable" in done.errors["plain"]["message"]
