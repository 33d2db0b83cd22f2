"""The application in examples/bakery, as its users would run it: over HTTP, on a database of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from core_support import soon

EXAMPLES = Path(__file__).parents[2] / "examples"
fastapi_testclient = pytest.importorskip("fastapi.testclient", reason="the example needs the extra `server`")


@pytest.fixture
def bakery(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of the running application. Its environment is that of any application of the published package."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setenv("DATABASE_URL", database.replace("postgresql://", "postgresql+asyncpg://"))
    monkeypatch.setenv("TASKER_TEMPLATE_PATH", str(EXAMPLES / "bakery" / "config" / "tasks"))
    from bakery.app import app, board

    board.lines.clear()
    with fastapi_testclient.TestClient(app) as client:
        yield client
    for name in [one for one in sys.modules if one.split(".")[0] == "bakery"]:
        del sys.modules[name]


def ordered(bakery: Any, **order: Any) -> str:
    """The id of a new order."""
    answer = bakery.post("/orders", json={"customer": "Café Blum", **order})
    assert answer.status_code == 201, answer.text
    return answer.json()["order"]


def ended(bakery: Any, order: str) -> dict[str, Any]:
    """The order, once nothing moves any more."""

    def look() -> dict[str, Any] | None:
        answer = bakery.get(f"/orders/{order}").json()
        return answer if answer["status"] in ("complete", "error", "cancelled") else None

    return soon(look)


def told(bakery: Any, order: str, count: int) -> dict[str, Any]:
    """What the board says of an order, once it says so much."""

    def look() -> list[dict[str, Any]] | None:
        lines = [one for one in bakery.get("/board").json() if one["order"] == order]
        return lines if len(lines) >= count else None

    return {one["event"]: one["says"] for one in soon(look)}


def test_a_small_order_goes_from_the_counter_to_the_oven(bakery: Any) -> None:
    """Models, paths, a decision with one branch, its convergence, checkpoints of trays, and what is told of it."""
    order = ordered(bakery, loaves={"rye": 2, "bun": 28})
    done = ended(bakery, order)
    assert done["status"] == "complete", done
    steps = done["steps"]
    assert steps["check_order"]["loaf_count"] == 30
    assert steps["price_order"] == {"total_cents": 2460, "discount_percent": 0}
    assert steps["plan_baking"] == {"loaf_count": 30, "agreed_by": ["the rule"]}
    assert steps["bake"] == {"loaves": 30, "trays": 3}
    assert steps["deliver"] == {"delivered": 30, "to": "the counter", "rounds": 1}
    assert steps["ask_owner"] is steps["check_credit"] is None
    assert told(bakery, order, 2) == {
        "order.priced": {"total_cents": 2460, "discount_percent": 0},
        "order.delivered": {"loaves": 30, "to": "the counter"},
    }
    assert bakery.get("/orders").json() == [{"order": order, "status": "complete"}]
    assert bakery.get("/health").json() == {"status": "healthy"}


def test_a_large_order_survives_a_power_cut_and_a_bridge(bakery: Any) -> None:
    """Two people agree; no tray is baked twice; a delivery that is tried again says so."""
    order = ordered(bakery, loaves={"spelt": 60}, address="harbour", power_cut_after=24)
    done = ended(bakery, order)
    assert done["status"] == "complete", done
    steps = done["steps"]
    assert steps["price_order"] == {"total_cents": 24300, "discount_percent": 10}
    assert sorted(steps["plan_baking"]["agreed_by"]) == ["the bank", "the owner"]
    assert steps["bake"] == {"loaves": 60, "trays": 5}
    assert steps["deliver"]["rounds"] == 2
    from bakery.handlers.kitchen import OVEN

    assert OVEN[order] == 60
    assert told(bakery, order, 3)["order.delayed"] == {"late_because": "the bridge is up"}


@pytest.mark.parametrize(
    ("given", "step", "code"),
    [
        ({"loaves": {"brick": 1}}, "check_order", "UNKNOWN_BREAD"),
        ({"loaves": {}}, "check_order", "EMPTY_ORDER"),
        ({"loaves": {"spelt": 60}, "customer": "a stranger"}, "check_credit", "NO_CREDIT"),
        ({"loaves": {"bun": 1}, "address": "nowhere"}, "deliver", "NO_ADDRESS"),
    ],
)
def test_what_cannot_be_done_fails_at_once(bakery: Any, given: dict[str, Any], step: str, code: str) -> None:
    """With its step and its code; nothing is tried again."""
    failed = ended(bakery, ordered(bakery, **given))
    assert failed["status"] == "error"
    assert failed["steps"][step]["error_code"] == code
    assert failed["steps"]["deliver"] is None or step == "deliver"


@pytest.mark.parametrize(
    ("shelves", "parts", "found"),
    [(list(range(10)), 3, {"sacks": 45, "ordered": 55}), ([], 1, {"sacks": 0, "ordered": 100})],
)
def test_the_store_is_counted_by_several_helpers(
    bakery: Any, shelves: list[int], parts: int, found: dict[str, int]
) -> None:
    """Each counts a few shelves; of an empty store nobody counts anything, and flour is ordered all the same."""
    done = ended(bakery, bakery.post("/store/count", json=shelves).json()["order"])
    assert done["status"] == "complete", done
    helpers = [name for name in done["steps"] if name.startswith("count_shelves_")]
    assert len(helpers) == parts
    assert {key: done["steps"]["order_flour"][key] for key in found} == found
