-- grant_steps: gives taken steps to the session, but those of paused tasks and those that are ready no longer. The caller
-- holds the step rows. A task whose first step is granted is in process.
create or replace function tasker_engine.grant_steps(_session int, _task_ids uuid[], _numbers int[], _now timestamptz)
returns setof tasker_engine.reply language plpgsql as $$
#variable_conflict use_column
begin
  return query
  with moved as (
    update tasker_engine.steps s
    set state = 'in_progress', attempt = s.attempt + 1, session_id = _session, moves = s.moves + 1, granted_at = _now,
      started_at = null
    from unnest(_task_ids, _numbers) as g(task_id, number) join tasker_engine.tasks t on t.task_id = g.task_id
    where s.task_id = g.task_id and s.number = g.number and s.state = 'enqueued' and t.paused_at is null
    returning s.task_id, s.number, s.attempt, s.tries, s.moves, s.is_suspect, t.template_id, t.is_checked, t.state as task_state),
  first as (
    select t.ctid as place from (select distinct task_id from moved where task_state = 'pending') m
    join tasker_engine.tasks t on t.task_id = m.task_id
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
