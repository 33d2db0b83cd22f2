-- grant_steps: gives taken steps to the session, but those of paused tasks and those that are ready no longer. The caller
-- holds the step rows, which lie at _places. A task whose first step is granted is in process.
create or replace function tasker_engine.grant_steps(_session int, _task_ids uuid[], _places tid[], _now timestamptz)
returns setof tasker_engine.reply language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with owner as materialized (
    select t.ctid as place, t.task_id, t.template_id, t.is_checked, t.state
    from tasker_engine.tasks t where t.task_id = any (_task_ids) and t.paused_at is null),
  moved as (
    update tasker_engine.steps s
    set state = 'in_progress', attempt = s.attempt + 1, session_id = _session, moves = s.moves + 1, granted_at = _now,
      started_at = null
    from unnest(_task_ids, _places) as g(task_id, place) join owner o on o.task_id = g.task_id
    where s.ctid = g.place and s.state = 'enqueued'
    returning s.task_id, s.number, s.attempt, s.tries, s.moves, s.is_suspect, o.template_id, o.is_checked,
      case when o.state = 'pending' then o.place end as begun_place),
  first as (
    select t.ctid as place from (select distinct begun_place from moved) m join tasker_engine.tasks t on t.ctid = m.begun_place
    where (t.state = 'pending') is true  -- not by the index on state: that would read every pending task
    for no key update of t skip locked),
  begun as (
    update tasker_engine.tasks t set state = 'steps_in_process', moves = t.moves + 1
    from first f where t.ctid = f.place
    returning t.task_id, t.moves),
  granted as (
    insert into tasker_engine.grants (session_id, task_ids, numbers)
    select _session, array_agg(task_id), array_agg(number) from moved having count(*) > 0
    returning grant_no),
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, session_id, at)
    select task_id, number, moves, 'enqueued'::tasker_engine.state, 'in_progress'::tasker_engine.state, attempt, _session, _now from moved
    union all
    select task_id, 0, moves, 'pending', 'steps_in_process', null, null, _now from begun)
  select 'batch', null::uuid, null::int, null::int, null::int, null::int, grant_no::text, null::json from granted
  union all
  select 'grant', task_id, number, attempt, tries, template_id, null, case when is_suspect or not is_checked
    then json_build_object('is_alone', is_suspect, 'is_unchecked', not is_checked) end
  from moved;
end $$;

-- drop_grants: grants of which nothing is held any more.
create or replace function tasker_engine.drop_grants(_session int, _grant_nos bigint[]) returns void language plpgsql as $$
begin
  delete from tasker_engine.grants g where g.ctid = any (array(
    select n.place from unnest(_grant_nos) f
    cross join lateral (
      select n.ctid as place from tasker_engine.grants n
      where n.session_id = _session and n.grant_no = f offset 0) n));  -- offset 0: probed by the whole key
end $$;
