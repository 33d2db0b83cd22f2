-- record_failures: steps whose fence holds wait for their next try, end in error, or go back to be taken by another.
-- Answers how the counters of their tasks change, one row per step.
create or replace function tasker_engine.record_failures(
  _session int, _locked uuid[], _task_ids uuid[], _numbers int[], _attempts int[], _kinds text[], _payloads text[],
  _retry_after_s double precision[], _run_s double precision[], _now timestamptz, _chance double precision,
  out done_tasks uuid[], out done_numbers int[], out changes tasker_engine.task_change[]) language plpgsql as $$
begin
  with judged as (
    select s.task_id, s.number, o.payload, o.kind, o.run_s, t.paused_at, t.class, t.born_at, ts.channel_id,
      case
        when o.kind = 'released' and coalesce(o.retry_after_s, 0) <= 0 then 'enqueued'
        when o.kind = 'released' then 'waiting_for_retry'
        when o.kind = 'retryable' and ts.is_retryable and s.tries + 1 < ts.max_attempts then 'waiting_for_retry'
        else 'error'
      end::tasker_engine.state as next,
      greatest(0, least(tasker_engine.setting('retry_after_max_s'), coalesce(nullif(o.retry_after_s, 'NaN'),
        tasker_engine.retry_wait_s(ts.backoff, ts.backoff_base_s, ts.backoff_max_s, ts.jitter, s.tries + 1,
          coalesce(_chance, random()))))) as wait_s
    from unnest(_task_ids, _numbers, _attempts, _kinds, _payloads, _retry_after_s, _run_s)
      as o(task_id, number, attempt, kind, payload, retry_after_s, run_s)
    join tasker_engine.steps s on s.task_id = o.task_id and s.number = o.number
    join tasker_engine.tasks t on t.task_id = s.task_id
    cross join lateral (
      select * from tasker_engine.template_steps p where p.template_id = t.template_id and p.number = tasker_engine.plan_number(s.number) offset 0) ts  -- offset 0: probed by the whole key
    where o.kind in ('failed', 'retryable', 'released') and o.task_id = any (_locked)
      and s.state = 'in_progress' and s.attempt = o.attempt and s.session_id = _session),
  recorded as (
    update tasker_engine.steps s
    set state = j.next, error = case when j.kind = 'released' then s.error else j.payload::jsonb end,
      tries = s.tries + case when j.kind = 'released' then 0 else 1 end, moves = s.moves + 1, finished_at = _now,
      is_suspect = s.is_suspect and j.kind = 'released',
      started_at = case when j.kind <> 'released' then greatest(s.granted_at, _now - make_interval(secs => j.run_s)) end
    from judged j where s.task_id = j.task_id and s.number = j.number
    returning s.task_id, s.number, s.attempt, s.moves, s.is_suspect, j.next, j.wait_s, j.payload, j.kind, j.paused_at, j.class,
      j.born_at, j.channel_id),
  queued as (
    insert into tasker_engine.ready (lane, task_id, number, born_at)
    select tasker_engine.lane(channel_id, case when is_suspect then 2 else 1 end, class), task_id, number, born_at
    from recorded where next = 'enqueued' and paused_at is null),
  postponed as (
    insert into tasker_engine.due (due_at, task_id, number, attempt)
    select _now + make_interval(secs => wait_s), task_id, number, attempt from recorded where next = 'waiting_for_retry'
    on conflict (due_at, task_id, number) do update set attempt = excluded.attempt),  -- an older attempt's row of the same moment
  history as (
    insert into tasker_engine.transitions (task_id, number, seq, from_state, to_state, attempt, session_id, at, detail)
    select task_id, number, moves, 'in_progress', next, attempt, _session, _now,
      case when kind = 'released' then '{"released": true}'::jsonb else payload::jsonb end
    from recorded)
  select coalesce(array_agg(task_id), '{}'), coalesce(array_agg(number), '{}'), coalesce(array_agg(row(task_id, 0,
      case when next = 'error' then -1 else 0 end, case when next = 'waiting_for_retry' then 1 else 0 end,
      case when next = 'error' then 1 else 0 end)::tasker_engine.task_change), '{}')
  into done_tasks, done_numbers, changes from recorded;
end $$;
