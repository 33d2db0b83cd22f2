"""While a new version is rolled out, the one before calls its functions and reads its messages: nothing that it relies
on may change. The descriptions are in `contracts/`; `contracts.py` says how they grow."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from contracts import MESSAGES, VERBS, messages, read, signatures
from support.engine import Engine

from tasker.store.replies import read_reply

ADD = "a new line: run `python tests/fleet/contracts.py DSN` on a migrated database, and commit what it adds"


async def test_functions_that_older_processes_call_are_as_they_were(engine: Engine) -> None:
    """Each function that a worker or a server of a version that is still let in calls takes and answers the same."""
    found, wrong = await signatures(engine.connection.raw), list[str]()
    known = read(VERBS)
    for name, one in known.items():
        if found.get(name) != one["signatures"]:
            wrong.append(
                f"{name}: processes since {one['since']} call {one['signatures']}, now it is {found.get(name)}"
            )
    wrong += [f"{name}: {ADD}" for name in found.keys() - known.keys()]
    assert {"report", "claim", "beat", "serve_guarded", "sweep", "remote_claim"} <= known.keys()
    assert not wrong, "\n".join(wrong)


def test_messages_of_the_gateway_are_as_they_were() -> None:
    """What an older worker sends is taken, and what it reads is answered: no field goes or changes its type, and what
    is new need not be sent."""
    found, known = messages(), read(MESSAGES)
    assert not (wrong := differences(known, found)), "\n".join(wrong)


def differences(known: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What breaks workers of an older version, or is not described yet."""
    wrong: list[str] = []
    for message, fields in known.items():
        for place, field in fields.items():
            here = found.get(message, {}).get(place)
            was = {name: value for name, value in field.items() if name != "since"}
            if here != was:
                wrong.append(f"{message}: {place}: workers since {field['since']} know it as {was}, now it is {here}")
    for message, fields in found.items():
        for place in fields.keys() - known.get(message, {}).keys():
            needs = fields[place]["required"] and message.endswith("sent")
            wrong.append(f"{message}: {place}: {'older workers do not send it' if needs else ADD}")
    return wrong


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"turn": None}, "turn: workers since"),
        ({"turn": {"type": "string", "required": True}}, "now it is {'type': 'string'"),
        ({"news": {"type": "string", "required": True}}, "news: older workers do not send it"),
        ({"news": {"type": "string", "required": False}}, "news: a new line"),
    ],
)
def test_a_change_that_breaks_an_older_worker_is_found(change: dict[str, Any], said: str) -> None:
    """A field that is gone, is of another type, or has to be sent, is told with its message."""
    name = "take_worker_turn, sent"
    changed = {place: field for place, field in {**messages()[name], **change}.items() if field is not None}
    (wrong,) = differences(read(MESSAGES), {**messages(), name: changed})
    assert wrong.startswith(name)
    assert said in wrong


def test_what_a_newer_database_answers_beside_is_passed_over() -> None:
    """Rows of a kind that this version does not know, and keys that it does not know, change nothing."""
    task, new = uuid4(), "from_the_future"
    reply = read_reply(
        [
            (new, task, 1, 1, 1, 1, "text", '{"any": "thing"}'),
            ("batch", None, None, None, None, None, "7", f'{{"{new}": 1}}'),
            ("grant", task, 1, 1, 0, 3, None, f'{{"is_alone": true, "is_unchecked": false, "{new}": 1}}'),
            ("peers", None, None, None, None, None, None, f'{{"idle": 2, "{new}": 1}}'),
            ("next", None, None, None, None, None, None, f'{{"due_s": 1.5, "{new}": 1}}'),
        ]
    )
    assert [(one.task_id, one.grant_no, one.is_alone) for one in reply.grants] == [(task, 7, True)]
    assert (reply.idle_peers, reply.next_due_s, reply.session_ended, reply.wanted) == (2, 1.5, False, None)
