"""Random calls of every verb, against a model. TASKER_TEST_SCALE=full: a thousand stories, by a new seed each time."""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import closing

from support.databases import Databases
from support.random_stories import TEMPLATES, TO_BE_SEEN, play
from support.session import hand_back, success
from support.twin import Twin

IS_FULL = os.environ.get("TASKER_TEST_SCALE") == "full"
STORIES, CALLS = (1000, 80) if IS_FULL else (60, 40)


def test_the_engine_does_what_the_model_says(databases: Databases) -> None:
    """Over random calls of every verb, engine and model agree after each, and everything ends.

    The run must have met each of the events TO_BE_SEEN, or it would prove little.
    """
    by = random.SystemRandom().randrange(2**32) if IS_FULL else None
    seen = play(databases, stories=STORIES, calls=CALLS, by=by, shrinks=IS_FULL)
    assert {event for event in TO_BE_SEEN if not seen[event]} == set(), (by, seen)


def test_a_repeat_is_stale_once_somebody_else_has_the_step(databases: Databases) -> None:
    """A worker hands a step back, and another is granted it: what the first says of its attempt again, model and engine
    call stale, and not already recorded."""
    with closing(Twin(databases, TEMPLATES, seen := Counter[str]())) as twin:
        twin.submit("once")
        first, second = twin.open_session(20), twin.open_session(20)
        twin.claim(first, 1, may_be_alone=False)
        [grant] = first.held.values()
        twin.report(first, [(grant, hand_back())], 0, is_lost=True)
        twin.claim(second, 1, may_be_alone=False)
        twin.report(first, [(grant, success(1))], 0, is_lost=True)
    assert seen["stale"] == 1
