-- The checks of the doctor: each finds what one counter or queue says and what the steps say otherwise. In one statement,
-- so on one snapshot: what runs beside it cannot look like a fault. _task_ids null: all tasks that have not ended.

-- unended_tasks: tasks in which something may still happen, those in error included.
create or replace function tasker_engine.unended_tasks(_task_ids uuid[]) returns setof tasker_engine.tasks language sql stable as $$
  select * from tasker_engine.tasks t
  where t.state not in ('complete', 'cancelled', 'resolved_manually') and t.template_id > 0
    and (_task_ids is null or t.task_id = any (_task_ids))
$$;

-- wrong_waiting: steps whose `waiting` is not the number of parents that do not satisfy them.
create or replace function tasker_engine.wrong_waiting(_task_ids uuid[])
returns table (task_id uuid, number int, waiting int, is_right int) language sql stable as $$
  select s.task_id, s.number, s.waiting, c.is_right
  from tasker_engine.unended_tasks(_task_ids) t
  join tasker_engine.steps s on s.task_id = t.task_id
  join tasker_engine.template_steps p on p.template_id = t.template_id and p.number = s.number
  cross join lateral (
    select count(*)::int as is_right from unnest(p.parents) as parent(number)
    join tasker_engine.steps a on a.task_id = s.task_id and a.number = parent.number
    where a.state not in ('complete', 'resolved_manually')) c
  where p.parents <> '{}' and s.waiting <> c.is_right and not (s.attempt > 0 and exists (
    select from tasker_engine.batches b where b.task_id = s.task_id and b.number = s.number))
$$;

-- wrong_batches: batches whose counters are not what their members say (the columns hold what is right), or that start fewer
-- members than they may.
create or replace function tasker_engine.wrong_batches(_task_ids uuid[])
returns table (task_id uuid, number int, running int, succeeded int, failed int) language sql stable as $$
  select b.task_id, b.number, c.running, c.succeeded, c.failed
  from tasker_engine.unended_tasks(_task_ids) t
  join tasker_engine.batches b on b.task_id = t.task_id
  cross join lateral (
    select count(*) filter (where s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
        or s.state = 'pending' and s.waiting = 0)::int as running,
      count(*) filter (where s.state in ('complete', 'resolved_manually'))::int as succeeded,
      count(*) filter (where s.state = 'error')::int as failed
    from tasker_engine.steps s
    where s.task_id = b.task_id and s.number between b.number << 16 and b.number << 16 | 65535) c
  where (b.running, b.succeeded, b.failed) is distinct from (c.running, c.succeeded, c.failed)
    or c.running < least(b.parallelism, b.total - c.succeeded - c.failed) and not (b.failure_strategy = 'fail_fast' and c.failed > 0)
$$;

-- stuck_steps: pending steps that wait for nobody, and are neither ready nor due.
create or replace function tasker_engine.stuck_steps(_task_ids uuid[])
returns table (task_id uuid, number int) language sql stable as $$
  select s.task_id, s.number
  from tasker_engine.unended_tasks(_task_ids) t
  join tasker_engine.steps s on s.task_id = t.task_id
  where t.paused_at is null and s.state = 'pending' and s.waiting = 0
    and not exists (select from tasker_engine.due d where d.task_id = s.task_id and d.number = s.number and d.attempt = s.attempt)
$$;

-- lost_ready: enqueued steps that lie in no lane, so that nobody will take them.
create or replace function tasker_engine.lost_ready(_task_ids uuid[])
returns table (task_id uuid, number int) language sql stable as $$
  select s.task_id, s.number
  from tasker_engine.unended_tasks(_task_ids) t
  join tasker_engine.steps s on s.task_id = t.task_id
  where t.paused_at is null and s.state = 'enqueued'
    and not exists (select from tasker_engine.ready r where r.task_id = s.task_id and r.number = s.number)
$$;

-- lost_due: steps that wait for their next try, but not for a time.
create or replace function tasker_engine.lost_due(_task_ids uuid[])
returns table (task_id uuid, number int) language sql stable as $$
  select s.task_id, s.number
  from tasker_engine.unended_tasks(_task_ids) t
  join tasker_engine.steps s on s.task_id = t.task_id
  where s.state = 'waiting_for_retry'
    and not exists (select from tasker_engine.due d where d.task_id = s.task_id and d.number = s.number and d.attempt = s.attempt)
$$;

-- lost_grants: steps in progress that no grant of their session names, so that nobody will release them.
create or replace function tasker_engine.lost_grants(_task_ids uuid[])
returns table (task_id uuid, number int, session_id int) language sql stable as $$
  select s.task_id, s.number, s.session_id
  from tasker_engine.unended_tasks(_task_ids) t
  join tasker_engine.steps s on s.task_id = t.task_id
  where s.state = 'in_progress' and not exists (
    select from tasker_engine.grants g cross join lateral unnest(g.task_ids, g.numbers) as h(task_id, number)
    where g.session_id = s.session_id and h.task_id = s.task_id and h.number = s.number)
$$;

-- wrong_counters: tasks whose counters or state are not what their steps say; the columns hold what is right.
create or replace function tasker_engine.wrong_counters(_task_ids uuid[])
returns table (task_id uuid, open int, live int, due int, failed int, state tasker_engine.state) language sql stable as $$
  select t.task_id, c.open, c.live, c.due, c.failed, c.state
  from tasker_engine.unended_tasks(_task_ids) t
  cross join lateral (
    select k.*, tasker_engine.task_state(k.open, k.live, k.due, k.failed, t.state <> 'pending') as state
    from (
      select count(*) filter (where s.state not in ('complete', 'resolved_manually', 'cancelled') and not i.is_isolated)::int as open,
        count(*) filter (where s.state in ('enqueued', 'in_progress', 'waiting_for_retry')
          or s.state = 'pending' and s.waiting = 0)::int as live,
        count(*) filter (where s.state = 'waiting_for_retry' or s.state = 'pending' and s.waiting = 0 and exists (
          select from tasker_engine.due d where d.task_id = s.task_id and d.number = s.number and d.attempt = s.attempt))::int as due,
        count(*) filter (where s.state = 'error' and not i.is_isolated)::int as failed
      from tasker_engine.steps s
      cross join lateral (
        select s.number >= 65536 and s.state = 'error' and exists (
          select from tasker_engine.batches b where b.task_id = s.task_id and b.number = s.number >> 16
            and b.failure_strategy = 'isolate') as is_isolated) i
      where s.task_id = t.task_id) k) c
  where (t.open, t.live, t.due, t.failed, t.state) is distinct from (c.open, c.live, c.due, c.failed, c.state)
$$;
