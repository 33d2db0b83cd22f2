"""A database with very many tasks, written straight into the tables: what the measurements of reads look at.

Tasks of five namespaces, twenty templates (chains of four steps) and all states: nine of ten are complete. Each has a
tag of fifty, an initiator of a thousand, two declared fields (`order` is its own, `kind` one of ten), steps and a
history; every tenth shares a correlation with four more, every hundredth comes from the source system `shop`; one of
20,000 has the tag `rare`, and all have `every`. Tasks follow each other by a tenth of a second, the last of them now.
"""

from __future__ import annotations

from tasker.model.template import HandlerRef, Step, Template
from tasker.store.connection import Connection
from tasker.store.migrate import migrate
from tasker.store.verbs import Verbs
from tasker.templates.publishing import publish

NAMESPACES, TEMPLATES, AT_ONCE = 5, 20, 50_000
_FILL = """
with made as materialized (
  select n, tasker_engine.uuid7(at) as id, at, 1 + abs(hashint8(n)::bigint) % $4::bigint as template,
    abs(hashint8(n + 10000019)::bigint) % 1000 as luck, abs(hashint8(n + 20000003)::bigint) % 10 as kind,
    abs(hashint8(n + 30000001)::bigint) % 50 as tag
  from generate_series($2::bigint, $3::bigint) n
  cross join lateral (select clock_timestamp() - ($1::bigint - n) * interval '1 second' / 10 as at) t),
stood as materialized (
  select m.*, case when m.luck < 900 then 'complete' when m.luck < 960 then 'steps_in_process'
      when m.luck < 980 then 'pending' when m.luck < 990 then 'error'
      when m.luck < 995 then 'waiting_for_retry' when m.luck < 999 then 'cancelled'
      else 'blocked_by_failures' end::tasker_engine.state as state,
    case when m.luck < 900 then 4 when m.luck < 960 then m.luck % 4 when m.luck < 980 then 0
      when m.luck < 990 then m.luck % 4 when m.luck < 995 then 1 else 0 end as done,
    m.luck < 900 or m.luck between 980 and 989 or m.luck between 995 and 998 as is_over
  from made m),
tasked as (
  insert into tasker_engine.tasks
    (task_id, template_id, namespace_id, state, is_checked, open, live, failed, born_at, created_at, finished_at)
  select m.id, t.template_id, t.namespace_id, m.state, true, 4 - m.done, case when m.is_over then 0 else 1 end,
    case when m.state in ('error', 'blocked_by_failures') then 1 else 0 end, m.at, m.at,
    case when m.is_over then m.at + m.luck * interval '1 second' end
  from stood m join tasker_engine.templates t on t.template_id = m.template),
found as (
  insert into tasker_engine.task_fields (field_id, value, task_id)
  select f.field_id, case f.path when 'order' then m.n::text else 'kind' || m.kind end, m.id
  from stood m cross join tasker_engine.fields f),
described as (
  insert into tasker_engine.inputs (task_id, context, bytes, initiator, tags, correlation_id, source_system)
  select m.id, jsonb_build_object('order', m.n, 'kind', 'kind' || m.kind), 40, 'user' || m.n % 1000,
    array['tag' || m.tag, 'every'] || case when m.n % 20000 = 7 then '{rare}'::text[] else '{}' end,
    case when m.n % 10 = 0 then md5((m.n / 50)::text)::uuid end, case when m.n % 100 = 0 then 'shop' end
  from stood m),
stepped as (
  insert into tasker_engine.steps (task_id, number, state, waiting, attempt, tries, moves, granted_at, started_at,
    finished_at, result, result_bytes, error)
  select m.id, s.number, x.state, case when s.number > m.done + 1 then 1 else 0 end, x.attempt, x.attempt,
    2 * x.attempt, x.at, x.at, x.at + m.luck * interval '1 ms',
    case when x.state = 'complete' then '{"price": 1200}'::jsonb end, 15,
    case when x.state in ('error', 'waiting_for_retry')
      then '{"error_code": "BUSY", "message": "the gateway is busy"}'::jsonb end
  from stood m cross join generate_series(1, 4) as s(number)
  cross join lateral (
    select case when s.number <= m.done then 'complete' when m.state = 'cancelled' then 'cancelled'
        when s.number > m.done + 1 then 'pending' when m.state in ('error', 'blocked_by_failures') then 'error'
        when m.state = 'waiting_for_retry' then 'waiting_for_retry' else 'pending' end::tasker_engine.state as state,
      case when s.number <= m.done
          or s.number = m.done + 1 and m.state in ('error', 'waiting_for_retry', 'blocked_by_failures')
        then 1 else 0 end as attempt,
      case when s.number <= m.done + 1 then m.at + s.number * interval '100 ms' end as at) x
  returning task_id, number, state, attempt, granted_at, finished_at)
insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, at)
select m.id, 0, 1, null::tasker_engine.state, 'pending'::tasker_engine.state, null::int, m.at as at from stood m
union all
select m.id, 0, 2, 'pending', m.state, null, m.at + interval '1 second' from stood m where m.state <> 'pending'
union all
select s.task_id, s.number, q.seq, case q.seq when 1 then 'pending' else 'in_progress' end::tasker_engine.state,
  case q.seq when 1 then 'in_progress' else s.state end, 1, case q.seq when 1 then s.granted_at else s.finished_at end
from stepped s cross join generate_series(1, 2) as q(seq) where s.attempt = 1
order by at
"""
_DUE = """
insert into tasker_engine.due (due_at, task_id, number, attempt)
select clock_timestamp() + interval '1 day', s.task_id, s.number, s.attempt
from tasker_engine.tasks t join tasker_engine.steps s on s.task_id = t.task_id and s.state = 'waiting_for_retry'
where t.state = 'waiting_for_retry'
"""
_DEAD = """
insert into tasker_engine.dlq
  (entry_id, task_id, namespace_id, reason, original_state, status, snapshot, created_at, updated_at)
select tasker_engine.uuid7(t.created_at), t.task_id, t.namespace_id,
  (array['staleness_timeout', 'max_retries_exceeded', 'worker_unavailable', 'manual_dlq'])[1 + place % 4], t.state,
  case when place % 10 < 7 then 'manually_resolved' else 'pending' end,
  jsonb_build_object('namespace', n.name, 'name', p.name, 'version', p.version), t.created_at, t.created_at
from (
  select t.*, row_number() over (order by t.task_id) as place from tasker_engine.tasks t
  order by t.task_id desc limit $1) t
join tasker_engine.templates p on p.template_id = t.template_id
join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
"""


def template(number: int) -> Template:
    """One of the templates: a chain of four, with two search fields."""
    steps = tuple(
        Step(name=f"s{n}", handler=HandlerRef(callable="work"), dependencies=(f"s{n - 1}",) if n else ())
        for n in range(4)
    )
    name, namespace = f"flow{number}", f"space{number % NAMESPACES}"
    return Template(namespace=namespace, name=name, version="1.0.0", steps=steps, search_fields=("order", "kind"))


async def fill(owner: Connection, writer: Connection, tasks: int, *, dead_letters: int = 0) -> None:
    """Makes the schema and so many tasks, the newest of them with dead letters, and analyses the tables.

    `writer` is a connection whose plans are not pinned. The database must be empty.
    """
    await migrate(owner)
    for number in range(TEMPLATES):
        await publish(owner, Verbs(), template(number))
    await writer.execute("set synchronous_commit = off")
    for first in range(1, tasks + 1, AT_ONCE):
        await writer.execute(_FILL, tasks, first, min(tasks, first + AT_ONCE - 1), TEMPLATES)
    await writer.execute(_DUE)
    if dead_letters:
        await writer.execute(_DEAD, dead_letters)
    await writer.execute("vacuum analyze")
