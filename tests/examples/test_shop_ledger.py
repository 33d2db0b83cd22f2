"""The ledger of the shop: what was done stays done, whoever dies."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ecommerce.services import Drill, ServiceFault, Shop, open_shop, use_shop

EXAMPLES = Path(__file__).parents[2] / "examples"


def charge(shop: Shop, reference: str, key: str | None):
    return asyncio.run(shop.connect().charge(1000, "test_success_1", reference=reference, key=key))


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_key_is_charged_once(tmp_path, in_memory):
    """The second charge of a key takes nothing and gives the first answer."""
    shop = Shop(None if in_memory else tmp_path / "ledger")

    first, second = charge(shop, "c1", "key"), charge(shop, "c1", "key")

    assert first == second
    assert (first.amount_cents, first.fee_cents) == (1000, 59)
    assert shop.books().charges == 1


def test_without_a_key_each_call_charges(tmp_path):
    """The auditor sees who was charged twice, and who was charged for nothing."""
    shop = Shop(tmp_path / "ledger")
    charge(shop, "c1", None), charge(shop, "c1", None), charge(shop, "c2", None)
    asyncio.run(shop.connect().place_order(reference="c2", key="o2", total_cents=1000))

    books = shop.books()

    assert books.charged_twice == {"c1"}
    assert books.charged_without_order == {"c1"}
    assert (books.charges, books.orders) == (3, 1)


def test_two_shops_on_one_ledger_are_one(tmp_path):
    """What one process does, another one knows."""
    here, there = Shop(tmp_path / "ledger"), Shop(tmp_path / "ledger")

    charge(here, "c1", "key"), charge(there, "c1", "key")
    asyncio.run(here.connect().reserve({1: 20}, key="r1"))
    short = asyncio.run(there.connect().reserve({1: 6}, key="r2"))
    enough = asyncio.run(there.connect().reserve({1: 5}, key="r3"))

    assert here.books() == there.books()
    assert here.books().charges == 1
    assert short.short == (1,)
    assert enough.items[0]["previous_stock"] == 5


def test_a_timeout_means_that_it_was_done(tmp_path):
    """After a lost answer the money is taken; after a refusal it is not."""
    shop = Shop(tmp_path / "ledger")
    lost = shop.connect("process_payment", 0, Drill("process_payment", "timeout", 1).as_input())
    refused = shop.connect("process_payment", 0, Drill("process_payment", "unavailable", 1).as_input())

    for connection, reference in ((lost, "lost"), (refused, "refused")):
        with pytest.raises(ServiceFault):
            asyncio.run(connection.charge(1000, "test_success_1", reference=reference, key=reference))

    assert shop.books().charged_without_order == {"lost"}


def test_half_a_line_is_no_deed(tmp_path):
    """What a killed process left of a line is cut off, and all go on."""
    path = tmp_path / "ledger"
    writer, reader = Shop(path), Shop(path)
    charge(writer, "c1", "k1")
    assert reader.books().charges == 1
    with path.open("ab") as ledger:
        ledger.write(b'{"kind": "charge", "key": "k2", "ref')

    charge(reader, "c3", "k3")

    assert writer.books().charges == reader.books().charges == Shop(path).books().charges == 2


WRITER = """
import asyncio, sys
from ecommerce.services import open_shop
shop = open_shop()
for number in range(40):
    asyncio.run(shop.connect().charge(100, "test_success_1", reference=f"c{number}", key=f"k{number}"))
    asyncio.run(shop.connect().reserve({8: 1}, key=f"{sys.argv[1]}-{number}"))
"""


def test_processes_at_the_same_time_agree(tmp_path, monkeypatch):
    """Four processes that charge the same keys charge each once, and sell no more than the warehouse holds."""
    use_shop(None)
    monkeypatch.setenv("SHOP_LEDGER", str(tmp_path / "ledger"))
    path = os.pathsep.join([str(EXAMPLES), *sys.path])
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, str(n)], env={**os.environ, "PYTHONPATH": path}) for n in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0] * 4

    shop = open_shop()

    assert shop.books().charges == 40
    with shop.ledger.turn() as deeds:
        assert deeds.stock[8] == 200 - 160


def test_the_environment_describes_the_shop(tmp_path, monkeypatch):
    """One process has one shop for each description, and `use_shop` goes before it."""
    monkeypatch.setenv("SHOP_LEDGER", str(tmp_path / "ledger"))
    monkeypatch.setenv("SHOP_SEED", "7")
    monkeypatch.setenv("SHOP_LATENCY_MS", "2")

    described = open_shop()
    own = Shop()
    use_shop(own)

    assert (described.seed, described.latency_s) == (7, 0.002)
    assert open_shop() is own
    use_shop(None)
    assert open_shop() is described
