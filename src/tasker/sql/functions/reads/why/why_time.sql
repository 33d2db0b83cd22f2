-- why_failed (kind `failed`): steps that failed for good. data: error, tries, max_attempts, is_retryable, at.
create or replace function tasker_engine.why_failed(_task_id uuid, _template_id int)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select s.number, 'failed', format('failed for good on try %s of %s: %s', s.tries, p.max_attempts, tasker_engine.said_error(s.error)),
    jsonb_build_object('error', s.error, 'tries', s.tries, 'max_attempts', p.max_attempts, 'is_retryable', p.is_retryable, 'at', s.finished_at)
  from tasker_engine.steps s
  join tasker_engine.plan_of(_template_id) p on p.number = tasker_engine.plan_number(s.number)
  where s.task_id = _task_id and s.state = 'error';
end $$;

-- why_due (kinds `retry` and `start`): steps that wait for a time. data: due_at, in_s; of a retry also error, tries,
-- max_attempts (error null: it was handed back by its worker for a while).
create or replace function tasker_engine.why_due(_task_id uuid, _template_id int, _now timestamptz)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select s.number, w.kind,
    case
      when w.kind = 'start' then 'starts at ' || tasker_engine.said_time(d.due_at)
      when s.error is null then 'was handed back, and may be taken again at ' || tasker_engine.said_time(d.due_at)
      else format('is tried again at %s, after try %s of %s: %s', tasker_engine.said_time(d.due_at), s.tries, p.max_attempts,
        tasker_engine.said_error(s.error))
    end || case when d.due_at > _now then ', in ' || tasker_engine.said_s(date_part('epoch', d.due_at - _now))
      else ', which has come: the next claim or sweep takes it up' end,
    jsonb_build_object('due_at', d.due_at, 'in_s', greatest(0, date_part('epoch', d.due_at - _now)))
      || case when w.kind = 'start' then '{}'
         else jsonb_build_object('error', s.error, 'tries', s.tries, 'max_attempts', p.max_attempts) end
  from tasker_engine.due d
  join tasker_engine.steps s on s.task_id = d.task_id and s.number = d.number and s.attempt = d.attempt
  join tasker_engine.plan_of(_template_id) p on p.number = tasker_engine.plan_number(s.number)
  cross join lateral (select case when s.state = 'pending' then 'start' else 'retry' end as kind) w
  where d.task_id = _task_id and s.state in ('pending', 'waiting_for_retry');
end $$;

-- why_paused (kind `paused`): a paused task hands out nothing; what runs is finished. data: since, by, reason.
create or replace function tasker_engine.why_paused(_task tasker_engine.tasks, _now timestamptz)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select s.number, 'paused', 'the task is paused' || coalesce(' by ' || (p.data ->> 'by'), '') || ' since '
      || tasker_engine.said_time(_task.paused_at) || coalesce(': ' || (p.data ->> 'reason'), ''),
    coalesce(p.data, '{}') || jsonb_build_object('since', _task.paused_at)
  from tasker_engine.steps s
  left join tasker_engine.pause_of(_task.task_id) p on true
  where s.task_id = _task.task_id and s.state in ('pending', 'enqueued', 'waiting_for_retry');
end $$;

-- pause_of: who paused a task last, and why; no row where that was not recorded.
create or replace function tasker_engine.pause_of(_task_id uuid) returns table (data jsonb) language plpgsql stable as $$
begin
  return query
  select jsonb_build_object('by', a.actor, 'reason', a.reason) from tasker_engine.acts a
  where a.task_id = _task_id and a.action = 'pause' order by a.at desc limit 1;
end $$;

-- said_error: an error record in a line.
create or replace function tasker_engine.said_error(_error jsonb) returns text language sql immutable as $$
  select coalesce(_error ->> 'error_code', _error ->> 'error_type', 'error')
    || coalesce(': ' || left(regexp_replace(_error ->> 'message', '\s+', ' ', 'g'), 200), '')
$$;
