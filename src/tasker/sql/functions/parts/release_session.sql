-- release_session: takes up to _most steps from a session that has ended. Each is ready again; one that was taken back before,
-- and now lost with its session, as a suspect. A step that was lost too often while it ran alone, or that may run only once,
-- ends in error.
-- Answers how many steps it released; steps of busy tasks are left for the next call.
create or replace function tasker_engine.release_session(_session int, _most int, _now timestamptz) returns int language plpgsql as $$
declare
  locked uuid[];
  changes tasker_engine.task_change[];
  ended tasker_engine.batch_change[];
  over_tasks uuid[];
  over_numbers int[];
begin
  locked := array(
    select t.task_id from tasker_engine.tasks t
    where t.task_id = any (array(select h.task_id from tasker_engine.held_steps(_session) h))
    order by t.task_id limit _most for no key update skip locked);
  _now := tasker_engine.clock(tasker_engine.given_time(_now));  -- a turn may have granted steps since the caller's
  with judged as (
    select s.task_id, s.number, t.paused_at, t.class, t.born_at, ts.channel_id, e.is_loss,
      s.losses + (e.is_loss and s.is_suspect and s.started_at is not null)::int as losses,
      ts.max_attempts = 1 or (e.is_loss and s.is_suspect and s.started_at is not null
        and s.losses + 1 >= tasker_engine.setting('worker_losses_max')) as is_over
    from tasker_engine.held_steps(_session) h
    join tasker_engine.sessions e on e.session_id = _session
    join tasker_engine.steps s on s.task_id = h.task_id and s.number = h.number
    join tasker_engine.tasks t on t.task_id = s.task_id
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = t.template_id and p.number = tasker_engine.plan_number(s.number) offset 0) ts  -- offset 0: probed by the whole key
    where h.task_id = any (locked) limit _most),
  moved as (
    update tasker_engine.steps s
    set state = case when j.is_over then 'error'::tasker_engine.state else 'enqueued' end, losses = j.losses,
      is_suspect = s.is_suspect or j.is_loss and s.attempt - s.tries > tasker_engine.setting('losses_forgiven'),
      moves = s.moves + 1, session_id = null, started_at = null, finished_at = _now,
      error = case when j.is_over then tasker_engine.worker_lost(j.losses) else s.error end
    from judged j where s.task_id = j.task_id and s.number = j.number and s.state = 'in_progress' and s.session_id = _session
    returning s.task_id, s.number, s.moves, s.attempt, s.state, s.is_suspect, j.is_over, j.paused_at, j.class, j.born_at,
      j.channel_id, j.losses),
  queued as (
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    select tasker_engine.lane(channel_id, case when is_suspect then 2 else 1 end, class), task_id, number, born_at
    from moved where not is_over and paused_at is null
    order by born_at, task_id, number),  -- the oldest task comes first again
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, session_id, at, detail)
    select task_id, number, moves, 'in_progress', state, attempt, _session, _now, tasker_engine.worker_lost(losses) from moved)
  select array_agg(row(task_id, 0, -is_over::int, 0, is_over::int)::tasker_engine.task_change),
    array_agg(row(task_id, number, -1, 0, 1)::tasker_engine.batch_change) filter (where is_over and number >= 65536),
    array_agg(task_id order by task_id, number) filter (where is_over), array_agg(number order by task_id, number) filter (where is_over)
  into changes, ended, over_tasks, over_numbers from moved;
  perform tasker_engine.record_events(over_tasks, over_numbers, _now);
  perform tasker_engine.settle_members(changes, ended, _now);
  delete from tasker_engine.grants g where g.session_id = _session
    and not exists (select from tasker_engine.held_steps(_session));
  return coalesce(cardinality(changes), 0);
end $$;

create or replace function tasker_engine.worker_lost(_losses int) returns jsonb language sql immutable as $$
  select jsonb_build_object('error_type', 'worker_lost', 'message', 'the worker process was lost while it held this step',
    'losses_alone', _losses, 'retryable', false)
$$;
