-- read_batches: how far the batches of these tasks have come.
--
-- total: members; running: those that a worker holds; waiting: those that have not begun, or will be tried again. items: rows
-- that the members work on, as far as that is known (0: it is not); items_done: those of members that have ended, and those
-- of running ones up to their checkpoints. ends_at: when it will be done if it goes on like this; null while nobody can say.
create or replace function tasker_engine.read_batches(_task_ids uuid[], _now timestamptz default null)
returns table (
  task_id uuid, number int, name text, state text, failure_strategy text, parallelism int, total int, waiting int, running int,
  succeeded int, failed int, items bigint, items_done bigint, items_per_s double precision, started_at timestamptz,
  finished_at timestamptz, ends_at timestamptz)
language plpgsql stable
set plan_cache_mode = force_custom_plan set jit = off set enable_seqscan = off set enable_indexscan = on as $$
#variable_conflict use_column
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  with counted as (
    select b.*, s.state::text as state, p.name, case when s.state = 'complete' then s.finished_at end as finished_at, m.running as held,
      case when s.state = 'complete' then b.items else least(b.items, b.items_done + m.items_begun) end as done,
      greatest(date_part('epoch', case when s.state = 'complete' then s.finished_at else _now end - b.expanded_at), 0.001) as seconds
    from unnest(_task_ids) as asked(task_id)
    join tasker_engine.tasks t on t.task_id = asked.task_id
    join tasker_engine.batches b on b.task_id = t.task_id
    join tasker_engine.steps s on s.task_id = b.task_id and s.number = b.number
    join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = b.number
    cross join lateral (
      select count(*) filter (where n.state = 'in_progress')::int as running, coalesce(sum(c.items_processed), 0) as items_begun
      from tasker_engine.steps n
      left join tasker_engine.checkpoints c on c.task_id = n.task_id and c.number = n.number
      where n.task_id = b.task_id and n.number between b.number << 16 and b.number << 16 | 65535
        and n.state in ('in_progress', 'enqueued', 'waiting_for_retry')) m),
  judged as (
    select c.*, case when c.items > 0 then c.done::float8 / c.items
      when c.total > 0 then (c.succeeded + c.failed)::float8 / c.total else 1 end as share
    from counted c)
  select j.task_id, j.number, j.name, j.state, j.failure_strategy, j.parallelism, j.total,
    j.total - j.succeeded - j.failed - j.held, j.held, j.succeeded, j.failed, j.items, j.done::bigint,
    case when j.items > 0 then j.done / j.seconds end, j.expanded_at, j.finished_at,
    case when j.state = 'pending' and j.share > 0 then _now + make_interval(secs => j.seconds * (1 - j.share) / j.share) end
  from judged j
  order by j.task_id, j.number;
end $$;
