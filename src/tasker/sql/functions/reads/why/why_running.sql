-- why_running (kinds `in_progress` and `granted`): steps that a worker holds; `granted` are those of which no start is known:
-- workers tell the start of what takes longer than a moment.
--
-- data: worker (session_uuid, name, host, pid, silent_s), attempt, since, for_s; timeout_at where the step has a timeout;
-- is_gone where the session has ended: the sweep then gives the step to another.
create or replace function tasker_engine.why_running(_task_id uuid, _template_id int, _now timestamptz)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select s.number, k.kind,
    case
      when w.ended_at is not null then format('was with %s, which is gone: it is given to another worker', k.who)
      when k.kind = 'granted' then format('was handed to %s %s ago; that it started is not known yet', k.who, k.long)
      else format('runs on %s for %s', k.who, k.long)
    end || case when s.attempt > 1 then ', attempt ' || s.attempt else '' end,
    jsonb_strip_nulls(jsonb_build_object('worker', jsonb_build_object('session_uuid', w.session_uuid, 'name', w.name, 'host', w.host,
        'pid', w.pid, 'silent_s', date_part('epoch', _now - w.beat_at)),
      'attempt', s.attempt, 'since', k.since, 'for_s', greatest(0, date_part('epoch', _now - k.since)),
      'timeout_at', s.started_at + make_interval(secs => p.timeout_s), 'is_gone', case when w.ended_at is not null then true end))
  from tasker_engine.steps s
  join tasker_engine.plan_of(_template_id) p on p.number = tasker_engine.plan_number(s.number)
  left join tasker_engine.sessions w on w.session_id = s.session_id
  cross join lateral (
    select case when s.started_at is null then 'granted' else 'in_progress' end as kind, coalesce(s.started_at, s.granted_at) as since,
      tasker_engine.said_s(greatest(0, date_part('epoch', _now - coalesce(s.started_at, s.granted_at)))) as long,
      coalesce(w.name || ' (' || w.host || ', process ' || w.pid || ')', 'an unknown worker') as who) k
  where s.task_id = _task_id and s.state = 'in_progress';
end $$;
