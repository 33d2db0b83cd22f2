"""A crowd of checkouts with faults: what the plain function loses, the steps recover."""

from __future__ import annotations

import asyncio

import pytest
from ecommerce import faults, plain

from tasker import StepError


def test_the_shares_are_exact():
    """Of 200 checkouts 30 meet a passing fault and 4 a permanent one, and none both."""
    crowd = faults.checkouts(seed=1, count=200)

    assert len({one.checkout_id for one in crowd}) == 200
    assert sum(one.drill is not None for one in crowd) == 30
    assert sum(one.error_code is not None for one in crowd) == 4
    assert not any(one.drill and one.error_code for one in crowd)


def test_a_seed_is_a_crowd():
    """The same seed gives the same checkouts, another one gives others."""
    assert faults.checkouts(seed=1, count=50) == faults.checkouts(seed=1, count=50)
    assert faults.checkouts(seed=1, count=50) != faults.checkouts(seed=2, count=50)


def test_a_passing_fault_leaves_a_try():
    """No fault strikes as often as its step is tried, and all kinds occur at all steps."""
    drills = [one.drill for one in faults.checkouts(seed=3, count=2000) if one.drill]

    assert all(1 <= drill.times <= min(2, faults.STEP_LIMITS[drill.step] - 1) for drill in drills)
    assert {drill.step for drill in drills} == set(faults.STEP_LIMITS)
    assert {drill.fault for drill in drills} == {"timeout", "unavailable"}
    assert {drill.times for drill in drills} == {1, 2}


@pytest.mark.parametrize("seed", range(5))
def test_the_steps_recover_what_passes_and_refuse_what_does_not(shop, checkout, handlers, seed):
    """Every passing fault is made good, every permanent one ends with its code, and nobody is charged twice."""
    crowd = faults.checkouts(seed, 60, permanent_share=0.1)
    shop.restock(3 * len(crowd))
    running = checkout(handlers)

    for one in crowd:
        checked = running.run(one.context)
        assert (checked.error or {}).get("error_code") == one.error_code, (one, checked.error)

    books = shop.books()
    assert books.charged_twice == frozenset()
    assert books.charged_without_order == frozenset()
    assert books.mails == sum(one.error_code is None for one in crowd)


def test_the_plain_function_loses_what_it_was_doing(shop):
    """One function over the same crowd completes only what met no fault, and some pay without getting an order."""
    crowd = faults.checkouts(seed=1, count=200)
    shop.restock(3 * len(crowd))
    completed, refused, lost = 0, 0, 0

    for one in crowd:
        try:
            asyncio.run(plain.checkout(shop, one.checkout_id, one.context))
            completed += 1
        except StepError as error:
            refused += error.error_code == one.error_code is not None
        except Exception:
            lost += 1

    assert (completed, refused, lost) == (166, 4, 30)
    assert shop.books().charged_without_order
