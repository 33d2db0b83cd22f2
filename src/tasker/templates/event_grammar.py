"""The grammar of `publishes_events`: see `grammar`."""

from __future__ import annotations

from tasker.templates.kinds import Choice, JsonSchema, Key, ListOf, Record, Text

EVENTS_MAX = 100
_NAME = "[A-Za-z_][A-Za-z0-9_]*"

EVENT = Record(
    noun="a domain event",
    short="name",
    keys=(
        Key(
            name="name",
            kind=Text(
                pattern=r"[a-z0-9_]+(?:\.[a-z0-9_]+)+",
                rule="small letters, digits and underscores with dots between them, such as order.paid",
            ),
            about="The event's name: subscribers ask for it, or for a pattern such as `order.*`. An event that is only "
            "a name may be written as that.",
            is_required=True,
        ),
        Key(
            name="description",
            kind=Text(at_least=0, at_most=10_000, pattern=None),
            about="What has happened then, for people and for publishers.",
            default=None,
        ),
        Key(
            name="schema",
            kind=JsonSchema(),
            about="What its payload must look like. An event with another one is refused, and the step is not hurt.",
            default=None,
        ),
        Key(
            name="condition",
            kind=Choice(words=("success", "failure", "retryable_failure", "permanent_failure", "always")),
            about="Of which outcomes it tells: of a success, of each failure, of those after which the step is tried "
            "again, of the one that ends it, or of all.",
            default="success",
        ),
        Key(
            name="delivery_mode",
            kind=Choice(words=("durable", "fast", "broadcast")),
            about="`durable` goes through the outbox and is lost by no crash, `fast` reaches the subscribers in the "
            "worker's process alone and at once, `broadcast` does both.",
            default="durable",
        ),
        Key(
            name="publisher",
            kind=Text(pattern=rf"{_NAME}(?:(?:::|\.){_NAME})*", rule="a name, with parts joined by . or ::"),
            about="The publisher that makes its payload; without it, the payload is the step's result, or its error.",
            default=None,
        ),
    ),
    misnamed={"event_name": "name", "mode": "delivery_mode", "when": "condition", "payload_schema": "schema"},
)

EVENTS = ListOf(item=EVENT, noun="domain events", at_most=EVENTS_MAX)
