-- read_summaries: what a page about a task shows, in one round trip: objects with the columns of read_tasks and
-- read_contexts, and an array with those of read_timings.
--
-- wait_s: from when it might begin until a worker took its first step; elapsed_s: from then until it ended, or now;
-- run_s: handlers ran, all steps together.
create or replace function tasker_engine.read_summaries(_task_ids uuid[], _now timestamptz default null)
returns table (
  task json, context json, timings json, wait_s double precision, elapsed_s double precision, run_s double precision)
language plpgsql stable as $$
begin
  _now := coalesce(_now, clock_timestamp());
  return query
  select row_to_json(t), (select row_to_json(c) from tasker_engine.read_contexts(array[t.task_id], _now) c), w.timings,
    date_part('epoch', coalesce(t.started_at, t.finished_at, greatest(_now, t.start_at)) - t.start_at),
    date_part('epoch', coalesce(t.finished_at, _now) - t.started_at), w.run_s
  from tasker_engine.read_tasks(_task_ids) t
  cross join lateral (
    select coalesce(json_agg(s), '[]') as timings, coalesce(sum(s.run_s), 0) as run_s
    from tasker_engine.read_timings(array[t.task_id], _now) s) w;
end $$;
