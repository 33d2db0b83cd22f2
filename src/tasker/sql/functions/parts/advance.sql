-- advance: what follows when steps have come to satisfy their children: children that wait for nobody more are handed to
-- the session, as far as it serves them and has room, unless a more urgent step waits; the others become ready. Then the
-- counters of the tasks move, once per task. The caller holds the tasks (_held) and has recorded the steps.
--
-- _changes are the counter changes of what the caller recorded. Answers rows of kind batch, grant, result (of parents that
-- are not in this call), ended, and left (number: how many steps have become ready for others).
create or replace function tasker_engine.advance(
  _session int, _held tasker_engine.held_task[], _task_ids uuid[], _numbers int[], _changes tasker_engine.task_change[],
  _channels int[], _pools int[], _free int[], _now timestamptz)
returns setof tasker_engine.reply language plpgsql as $$
#variable_conflict use_column
declare
  priority_s double precision := tasker_engine.setting('priority_s');
begin
  return query
  with done as materialized (
    select h.task_id, h.template_id, h.class, h.born_at, h.paused_at, d.number
    from unnest(_task_ids, _numbers) as d(task_id, number) join unnest(_held) h on h.task_id = d.task_id),
  parent as materialized (
    select ts.template_id, ts.number, ts.children, ts.child_channels, ts.child_parents
    from (select distinct template_id, number from done) d
    cross join lateral (  -- offset 0: probed by the whole key
      select * from tasker_engine.template_steps p where p.template_id = d.template_id and p.number = d.number offset 0) ts
    where ts.children <> '{}'),
  satisfied as (
    select d.task_id, d.template_id, d.class, d.born_at, d.paused_at, c.number, c.channel_id, c.parents as all_parents,
      count(*)::int as parents
    from done d join parent p on p.template_id = d.template_id and p.number = d.number
    cross join lateral unnest(p.children, p.child_channels, p.child_parents) as c(number, channel_id, parents)
    group by d.task_id, d.template_id, d.class, d.born_at, d.paused_at, c.number, c.channel_id, c.parents),
  head as materialized (
    select min(h.urgent_at) as urgent_at from tasker_engine.heads(_channels, _pools) h
    where (select count(*) from satisfied) * 2 > (select sum(f) from unnest(_free) f)),
  freed as (
    select d.*, s.ctid as place, d.parents < d.all_parents as is_partial, s.state = 'pending' and s.waiting = d.parents as is_free,
      _pools[array_position(_channels, d.channel_id)] as pool
    from satisfied d join tasker_engine.steps s on s.task_id = d.task_id and s.number = d.number),
  eligible as (
    select f.*, is_free and paused_at is null and pool is not null and coalesce(
      tasker_engine.urgency(born_at, class, priority_s) <= (select urgent_at from head), true) as is_eligible
    from freed f),
  placed as (
    select e.*, is_eligible and row_number() over (partition by is_eligible, pool order by born_at, task_id, number) <= _free[pool]
      as is_granted
    from eligible e),
  moved as (
    update tasker_engine.steps s
    set waiting = s.waiting - p.parents, moves = s.moves + case when p.is_free and p.paused_at is null then 1 else 0 end,
      state = case when p.is_granted then 'in_progress' when p.is_free and p.paused_at is null then 'enqueued' else s.state end,
      attempt = s.attempt + case when p.is_granted then 1 else 0 end,
      session_id = case when p.is_granted then _session else s.session_id end,
      granted_at = case when p.is_granted then _now else s.granted_at end
    from placed p where s.ctid = p.place
    returning s.task_id, s.number, s.attempt, s.tries, s.moves, s.state, p.is_free, p.is_granted, p.is_partial, p.template_id, p.class,
      p.born_at, p.channel_id, p.paused_at),
  queued as (
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    select tasker_engine.lane(channel_id, 1, class), task_id, number, born_at
    from moved where is_free and not is_granted and paused_at is null),
  granted as (
    insert into tasker_engine.grants (session_id, task_ids, numbers)
    select _session, array_agg(task_id), array_agg(number) from moved where is_granted having count(*) > 0
    returning grant_no),
  lacking as (
    select array_agg(task_id) as task_ids, array_agg(number) as numbers from moved where is_granted and is_partial),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, session_id, at)
    select task_id, number, moves, 'pending', state, nullif(attempt, 0), case when is_granted then _session end, _now
    from moved where is_free and paused_at is null),
  settled as (
    select * from tasker_engine.settle(
      _held, _changes || array(select row(task_id, 0, 1, 0, 0)::tasker_engine.task_change from moved where is_free),
      _session is not null, _now))
  select 'batch', null::uuid, null::int, null::int, null::int, null::int, grant_no::text, null::json from granted
  union all
  select 'grant', task_id, number, attempt, tries, template_id, null, null from moved where is_granted
  union all
  select 'left', null, count(*)::int, null, null, null, null, null from moved
  where _session is not null and is_free and not is_granted and paused_at is null having count(*) > 0
  union all
  select p.* from lacking l cross join lateral tasker_engine.payloads(l.task_ids, l.numbers, false) p where l.task_ids is not null
  union all
  select 'ended', task_id, null, null, null, null, state, null from settled;
end $$;
