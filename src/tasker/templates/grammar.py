"""The grammar of templates, said once.

These tables are what the checker checks, what the JSON Schema for editors is made from, and what the reference page
shows. A key that is not here does not exist; a key that is here has an effect.
"""

from __future__ import annotations

from tasker.templates.event_grammar import EVENTS
from tasker.templates.kinds import (
    Choice,
    Flag,
    Free,
    GrammarVersion,
    JsonSchema,
    Key,
    ListOf,
    MapOf,
    Number,
    Record,
    Text,
    Whole,
)

GRAMMAR_VERSION = 1
STEPS_MAX = 10_000
DEPTH_MAX = 1_000
"""The longest way through the graph, in steps."""
SEARCH_FIELDS_MAX = 8
EVERY_STEP = "ALL"
"""The name by which an environment's override means every step."""

_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_PROSE = Text(at_least=0, at_most=10_000, pattern=None)
_STEP_NAME = Text(at_most=128)
_WORD = Text(
    at_most=29,
    pattern=_IDENTIFIER,
    rule="letters, digits and underscores, not starting with a digit",
)
_FIELD_PATH = Text(
    pattern=r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*",
    rule="a path into the input, such as customer.id",
)
_TIMEOUT = Number(above=0, at_most=31_536_000)

RETRY = Record(
    noun="a retry policy",
    keys=(
        Key(
            name="retryable",
            kind=Flag(),
            about="Whether a failed step is tried again at all.",
            default=True,
        ),
        Key(
            name="max_attempts",
            kind=Whole(at_least=1, at_most=100),
            about="How often the step is executed at most, the first time included.",
            default=3,
        ),
        Key(
            name="backoff",
            kind=Choice(words=("none", "linear", "exponential", "fibonacci")),
            about="How the wait grows from one attempt to the next.",
            default="exponential",
        ),
        Key(
            name="backoff_base_ms",
            kind=Whole(at_least=1, at_most=3_600_000),
            about="The wait after the first failure, in milliseconds.",
            default=1000,
        ),
        Key(
            name="max_backoff_ms",
            kind=Whole(at_least=1, at_most=3_600_000),
            about="The longest wait, in milliseconds.",
            default=30_000,
        ),
        Key(
            name="jitter",
            kind=Number(at_least=0, at_most=1),
            about="The share of the wait that chance may add: 0.1 is up to 10 %. It never shortens a wait.",
            default=0.1,
        ),
    ),
    misnamed={"max_retries": "max_attempts", "attempts": "max_attempts", "backoff_multiplier": "backoff"},
    renamed={"limit": "max_attempts"},
)

HANDLER = Record(
    noun="a handler",
    short="callable",
    keys=(
        Key(
            name="callable",
            kind=Text(at_most=500),
            about="The name under which the handler is registered, or its path in a listed module. `handler: name` is "
            "short for it.",
            is_required=True,
        ),
        Key(
            name="method",
            kind=Text(pattern="[A-Za-z][A-Za-z0-9_]*", rule="the name of a public method"),
            about="The method of a handler class to call, `call` where it is not said.",
            default=None,
        ),
        Key(name="resolver", kind=Text(), about="The one resolver to ask; without it all, by priority.", default=None),
        Key(
            name="initialization",
            kind=Free(),
            about="Configuration for the handler: it reads it from its context.",
            default={},
        ),
    ),
    misnamed={"class": "callable", "name": "callable", "config": "initialization"},
)

BATCH_CONFIG = Record(
    noun="a batch configuration",
    keys=(
        Key(
            name="parallelism",
            kind=Whole(at_least=1, at_most=10_000),
            about="How many members of the batch run at the same time, at most.",
            default=10,
        ),
        Key(
            name="failure_strategy",
            kind=Choice(words=("continue_on_failure", "fail_fast", "isolate")),
            about="What a member that failed for good means: the others go on, as does what follows, and the task ends "
            "in error; nothing more is started; or it counts for nobody but the batch.",
            default="continue_on_failure",
        ),
        Key(
            name="batch_size",
            kind=Whole(at_least=1, at_most=100_000),
            about="How many rows a part has, 1000 where it is not said: the handler of the batchable step reads it. "
            "Only for a batch_worker.",
        ),
        Key(
            name="cursor_field",
            kind=Text(),
            about="What the cursors are values of, `id` where it is not said: the handlers read it. Only for a "
            "batch_worker.",
        ),
        Key(name="worker_template", kind=_STEP_NAME, about="The batch_worker's own name, if it is said at all."),
    ),
)

STEP = Record(
    noun="a step",
    keys=(
        Key(name="name", kind=_STEP_NAME, about="The step's name, once in a template.", is_required=True),
        Key(name="description", kind=_PROSE, about="What it does, for people.", default=None),
        Key(name="handler", kind=HANDLER, about="What runs.", is_required=True),
        Key(
            name="type",
            alias="step_type",
            kind=Choice(words=("standard", "decision", "deferred_convergence", "batchable", "batch_worker")),
            about="The kind of step: a decision chooses which of the steps that depend on it run, a "
            "deferred_convergence waits for those of its dependencies that will, a batchable step cuts work into "
            "parts, and the batch_worker that depends on it runs once for each.",
            default="standard",
        ),
        Key(
            name="dependencies",
            alias="depends_on",
            kind=ListOf(item=_STEP_NAME, noun="step names", at_most=STEPS_MAX),
            about="The steps whose results it needs. It runs when all of them are complete.",
            default=[],
        ),
        Key(name="retry", kind=RETRY, about="When it is tried again.", default={}),
        Key(
            name="timeout_seconds",
            kind=_TIMEOUT,
            about="How long one attempt may take, from its start. Fractions are allowed.",
            default=None,
        ),
        Key(
            name="queue",
            kind=_WORD,
            about="The queue whose workers run it; without it, the template's namespace.",
            default=None,
        ),
        Key(
            name="system_dependency",
            kind=Text(at_least=0, at_most=255, pattern=None),
            about="The outside system that it depends on, by which its breaker is named.",
            default=None,
        ),
        Key(
            name="result_schema",
            kind=JsonSchema(),
            about="What its result must look like. A result that does not is a permanent error.",
            default=None,
        ),
        Key(
            name="for_each",
            kind=Text(at_most=1000),
            about="`step.path.to.list`: the step runs once for each item of a list in the result of a step before it.",
            default=None,
        ),
        Key(
            name="batch_config",
            kind=BATCH_CONFIG,
            about="How a batch_worker, or a step with for_each, runs many times.",
            default=None,
        ),
        Key(name="publishes_events", kind=EVENTS, about="The domain events that tell of its outcomes.", default=[]),
    ),
    later=("composition",),
    misnamed={
        "handler_class": "handler",
        "handler_config": "handler.initialization",
        "depends_on_step": "dependencies",
        "depends_on_steps": "dependencies",
        "default_retry_limit": "retry.max_attempts",
        "default_retryable": "retry.retryable",
        "dependent_system": "system_dependency",
        "timeout": "timeout_seconds",
        "retries": "retry",
    },
)

OVERRIDE = Record(
    noun="an override of a step",
    keys=(
        Key(
            name="name",
            kind=_STEP_NAME,
            about=f"The step that it changes, or `{EVERY_STEP}` for every step.",
            is_required=True,
        ),
        Key(
            name="handler",
            kind=Record(
                noun="a change of the handler",
                keys=(
                    Key(
                        name="initialization",
                        kind=Free(),
                        about="Merged into the step's own, key by key.",
                    ),
                ),
                is_closed=True,
            ),
            about="Changes the handler's configuration.",
        ),
        Key(name="timeout_seconds", kind=_TIMEOUT, about="Replaces the step's own."),
        Key(name="retry", kind=RETRY, about="Replaces the step's own as a whole."),
    ),
    misnamed={"timeout": "timeout_seconds"},
    is_closed=True,
)

ENVIRONMENT = Record(
    noun="an environment",
    keys=(
        Key(
            name="steps",
            kind=ListOf(item=OVERRIDE, noun="overrides", at_most=STEPS_MAX),
            about=f"Overrides: first those named `{EVERY_STEP}`, then those that name one step.",
            default=[],
        ),
    ),
    is_closed=True,
)

_MINUTES = Whole(at_least=1, at_most=10_080)
LIFECYCLE = Record(
    noun="a lifecycle",
    keys=(
        Key(
            name="max_waiting_for_dependencies_minutes",
            kind=_MINUTES,
            about="How long a task may wait for its first step, from its start time on. Without it, an hour.",
            default=None,
        ),
        Key(
            name="max_waiting_for_retry_minutes",
            kind=_MINUTES,
            about="How long a task may stand in `waiting_for_retry`. Without it, half an hour.",
            default=None,
        ),
        Key(
            name="max_steps_in_process_minutes",
            kind=_MINUTES,
            about="How long nothing may move in a task in process, beside steps within their timeout; half an hour.",
            default=None,
        ),
        Key(
            name="max_duration_minutes",
            kind=Whole(at_least=1, at_most=43_200),
            about="How old a task may become. Without it, a day.",
            default=None,
        ),
        Key(
            name="staleness_action",
            kind=Choice(words=("dlq", "error", "none")),
            about="What becomes of a task past one of these times: an entry in the dead letter queue, an entry and an "
            "end in error, or nothing.",
            default="dlq",
        ),
        Key(
            name="auto_fail_on_timeout",
            kind=Flag(),
            about="true ends such a task in error, whatever `staleness_action` says.",
            default=None,
        ),
        Key(
            name="auto_dlq_on_timeout",
            kind=Flag(),
            about="false makes no entry, whatever `staleness_action` says.",
            default=None,
        ),
    ),
    is_closed=True,
)

TEMPLATE = Record(
    noun="a template",
    keys=(
        Key(
            name="tasker",
            kind=GrammarVersion(),
            about="The version of this grammar. With it, a key that does not exist is an error.",
        ),
        Key(name="namespace_name", kind=_WORD, about="Whose template it is.", is_required=True),
        Key(name="name", kind=Text(), about="The template's name, once in a namespace.", is_required=True),
        Key(
            name="version",
            kind=Text(at_most=50),
            about="The version of its content. What is published under a version never changes.",
            is_required=True,
        ),
        Key(name="description", kind=_PROSE, about="What it does, for people.", default=None),
        Key(name="metadata", kind=Free(), about="What you want to keep with it, such as tags, for people.", default={}),
        Key(
            name="system_dependencies",
            kind=Free(),
            about="The outside systems that it needs. Shown to people.",
            default={},
        ),
        Key(
            name="input_schema",
            kind=JsonSchema(),
            about="What the input of a task must look like. Defaults in it are filled in.",
            default=None,
        ),
        Key(
            name="enforce_schemas",
            kind=Flag(),
            about="Whether inputs are held against `input_schema` and results against `result_schema`.",
            default=True,
            loose_default=False,
        ),
        Key(
            name="identity_strategy",
            kind=Choice(words=("always_unique", "strict", "caller_provided")),
            about="When two submissions are the same task: never, when their inputs are equal, or when the caller's "
            "key says so.",
            default="always_unique",
        ),
        Key(
            name="search_fields",
            kind=ListOf(item=_FIELD_PATH, noun="paths", at_most=SEARCH_FIELDS_MAX),
            about="Fields of the input that tasks are found by, as dotted paths such as `customer.id`.",
            default=[],
        ),
        Key(
            name="steps",
            kind=ListOf(item=STEP, noun="steps", at_least=1, at_most=STEPS_MAX),
            about="The steps, in any order.",
            is_required=True,
        ),
        Key(
            name="lifecycle",
            kind=LIFECYCLE,
            about="When a task of it counts as stale, and what becomes of it then.",
            default=None,
        ),
        Key(
            name="environments",
            kind=MapOf(item=ENVIRONMENT),
            about="Overrides by environment: the one that `TASKER_ENV` names is applied.",
            default={},
        ),
    ),
    later=("domain_events",),
    misnamed={
        "namespace": "namespace_name",
        "step_templates": "steps",
        "schema": "input_schema",
        "context_schema": "input_schema",
    },
)
