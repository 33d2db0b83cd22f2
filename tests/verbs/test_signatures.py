"""What workers of an older version rely on while a newer one is rolled out: signatures and the shape of answers.

A signature is never changed, it is joined by a twin: a line here may be added, and must not be edited.
"""

from __future__ import annotations

from support.engine import Engine

VERBS = {
    "act": "_act_id uuid, _action text, _task_id uuid, _number integer, _seen_state text, _seen_attempt integer, "
    "_actor text, _reason text, _result jsonb, _now timestamp with time zone -> jsonb",
    "beat": "_session integer, _is_idle boolean, _stale_outcomes bigint, _started_tasks uuid[], "
    "_started_numbers integer[], _started_attempts integer[], _started_ago_s double precision[], _held_tasks uuid[], "
    "_held_numbers integer[], _held_attempts integer[], _now timestamp with time zone -> SETOF tasker_engine.reply",
    "claim": "_session integer, _channels integer[], _pools integer[], _free integer[], _may_be_alone boolean, "
    "_now timestamp with time zone -> SETOF tasker_engine.reply",
    "end_session": "_session integer, _reason text, _is_loss boolean, _now timestamp with time zone -> integer",
    "load": "_task_ids uuid[], _numbers integer[] -> SETOF tasker_engine.reply",
    "open_session": "_session_uuid uuid, _name text, _host text, _pid integer, _lease_s double precision, "
    "_now timestamp with time zone -> integer",
    "publish": "_namespace text, _name text, _version text, _digest text, _definition jsonb, _identity_strategy text, "
    "_steps jsonb, _force boolean, OUT template_id integer, OUT is_new boolean -> record",
    "regrant": "_session integer, _task_ids uuid[], _numbers integer[], _attempts integer[] "
    "-> SETOF tasker_engine.reply",
    "report": "_session integer, _task_ids uuid[], _numbers integer[], _attempts integer[], _kinds text[], "
    "_payloads text[], _retry_after_s double precision[], _run_s double precision[], _finished_grants bigint[], "
    "_channels integer[], _pools integer[], _free integer[], _may_wait boolean, _now timestamp with time zone, "
    "_chance double precision -> SETOF tasker_engine.reply",
    "serve": "_session integer, _handlers text[], _queues text[] -> TABLE(channel_id integer, handler text)",
    "submit": "_namespace text, _template text, _version text, _task_ids uuid[], _contexts jsonb[], _options jsonb[], "
    "_now timestamp with time zone -> TABLE(task_id uuid, is_duplicate boolean, info jsonb)",
    "sweep": "_now timestamp with time zone -> jsonb",
}
REPLY = [
    ("kind", "text"),
    ("task_id", "uuid"),
    ("number", "integer"),
    ("attempt", "integer"),
    ("tries", "integer"),
    ("template_id", "integer"),
    ("payload", "text"),
    ("info", "json"),
]


async def test_signatures_do_not_change(engine: Engine) -> None:
    """Each verb takes and answers what it always did: arrays of base types in, fixed columns and one json out."""
    query = """select p.proname, pg_get_function_identity_arguments(p.oid) as arguments,
                 pg_get_function_result(p.oid) as result
               from pg_proc p join pg_namespace n on n.oid = p.pronamespace
               where n.nspname = 'tasker_engine' and p.proname = any ($1)"""
    rows = await engine.rows(query, list(VERBS))
    assert {row["proname"]: f"{row['arguments']} -> {row['result']}" for row in rows} == VERBS


async def test_the_answer_to_workers_does_not_change(engine: Engine) -> None:
    """`reply` has the same columns in the same order; what is new goes into `info`."""
    query = """select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a
               where a.attrelid = 'tasker_engine.reply'::regclass and a.attnum > 0 order by a.attnum"""
    assert [tuple(row.values()) for row in await engine.rows(query)] == REPLY


async def test_no_verb_notifies(engine: Engine) -> None:
    """NOTIFY in a transaction that writes would serialise all commits: wake-ups are sent outside."""
    query = """select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace
               where n.nspname = 'tasker_engine' and p.prosrc ~* '(^|\\W)(pg_)?notify\\W'"""
    assert await engine.rows(query) == []


async def test_what_is_updated_often_is_not_partitioned(engine: Engine) -> None:
    """Tasks, steps and queues are plain tables: partitions would be opened and locked by every turn."""
    query = """select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'tasker_engine' and c.relkind = 'p'
                 and c.relname in ('tasks', 'steps', 'inputs', 'ready', 'due', 'grants')"""
    assert await engine.rows(query) == []


async def test_the_state_of_a_step_is_in_no_index(engine: Engine) -> None:
    """A step's row is updated in place: no index names a column that a move of the step changes."""
    query = """select a.attname from pg_index i
               join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
               where i.indrelid = 'tasker_engine.steps'::regclass"""
    assert {row["attname"] for row in await engine.rows(query)} == {"task_id", "number"}
