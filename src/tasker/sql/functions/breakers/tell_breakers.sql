-- tell_breakers: what recorded outcomes say of the outside systems that their steps depend on. Answers the channels, with their
-- pools, that are passable now.
--
-- A failure says something where its error record says is_dependency_failure; a success where the breaker counts failures; a
-- probe always.
create or replace function tasker_engine.tell_breakers(
  _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], _attempts int[], _kinds text[], _payloads text[],
  _done_tasks uuid[], _done_numbers int[], inout channels int[], inout pools int[], _now timestamptz) language plpgsql as $$
declare
  told int[];
begin
  with said as materialized (
    select o.place, o.task_id, o.number, o.attempt, b.breaker_id, b.state, b.failures, s.granted_at,
      o.kind in ('succeeded', 'decided', 'batched') as is_success,
      o.kind in ('failed', 'retryable') and tasker_engine.is_dependency_failure(o.payload) as is_failure
    from unnest(_task_ids, _numbers, _attempts, _kinds, _payloads) with ordinality as o(task_id, number, attempt, kind, payload, place)
    join unnest(_done_tasks, _done_numbers) as d(task_id, number) on d.task_id = o.task_id and d.number = o.number
    join unnest(_held) h on h.task_id = o.task_id
    cross join lateral (
      select n.channel_id from tasker_engine.template_steps n
      where n.template_id = h.template_id and n.number = tasker_engine.plan_number(o.number) offset 0) ts
    cross join lateral (
      select n.breaker_id from tasker_engine.channels n where n.channel_id = ts.channel_id and n.breaker_id is not null offset 0) c
    cross join lateral (
      select n.breaker_id, n.state, n.failures from tasker_engine.breakers n where n.breaker_id = c.breaker_id offset 0) b
    cross join lateral (
      select n.granted_at from tasker_engine.steps n where n.task_id = o.task_id and n.number = o.number and n.attempt = o.attempt offset 0) s),
  probed as (
    delete from tasker_engine.breaker_probes p using (
      select n.ctid as spot, s.place
      from said s
      cross join lateral (
        select n.ctid from tasker_engine.breaker_probes n
        where n.breaker_id = s.breaker_id and n.task_id = s.task_id and n.number = s.number and n.attempt = s.attempt
        for update skip locked) n) f
    where p.ctid = f.spot
    returning f.place),
  heard as (
    insert into tasker_engine.breaker_signals (breaker_id, granted_at, is_probe, is_success)
    select w.breaker_id, w.granted_at, w.is_probe, w.is_success
    from (
      select s.*, s.place in (select p.place from probed p) as is_probe,
        bool_or(s.is_failure) over (partition by s.breaker_id) or s.failures > 0 as is_counting
      from said s) w
    where (w.is_success or w.is_failure) and (w.is_probe or w.state = 'closed' and w.is_counting)
    order by w.place
    returning breaker_id)
  select array_agg(distinct h.breaker_id order by h.breaker_id) into told from heard h;
  perform tasker_engine.count_signals(t.breaker_id, _now) from unnest(told) as t(breaker_id);
  select p.channels, p.pools into channels, pools from tasker_engine.passable(channels, pools) p;
end $$;

-- concern_breakers: whether outcomes may say anything to any breaker: one is in trouble, or a failure is marked as a system's.
create or replace function tasker_engine.concern_breakers(_kinds text[], _payloads text[]) returns boolean language plpgsql stable as $$
begin
  return tasker_engine.is_any_in_trouble() or exists (
    select from unnest(_kinds, _payloads) as o(kind, payload)
    where o.kind in ('failed', 'retryable') and position('is_dependency_failure' in o.payload) > 0);
end $$;

-- is_dependency_failure: whether an error record says that what failed is the system which the step depends on.
create or replace function tasker_engine.is_dependency_failure(_payload text) returns boolean language plpgsql immutable as $$
begin
  return position('is_dependency_failure' in _payload) > 0 and coalesce(_payload::jsonb -> 'is_dependency_failure' = 'true', false);
end $$;
