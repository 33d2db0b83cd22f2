-- why: what a step whose parents have satisfied it waits for, as a sentence.
create or replace function tasker_engine.why(
  _state tasker_engine.state, _is_paused boolean, _due_at timestamptz, _channel int, _session int)
returns text language plpgsql stable as $$
begin
  return case
    when _state = 'in_progress' then 'runs on ' || coalesce((
      select s.name || ' (' || s.host || ', process ' || s.pid || case when s.ended_at is null then ')' else '), which is gone' end
      from tasker_engine.sessions s where s.session_id = _session), 'an unknown worker')
    when _is_paused then 'the task is paused'
    when _due_at is not null then 'waits until ' || to_char(_due_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"')
    when exists (select from tasker_engine.session_channels sc join tasker_engine.sessions s on s.session_id = sc.session_id
                 where sc.channel_id = _channel and s.ended_at is null) then coalesce((
      select tasker_engine.breaker_says(b.name, b.state, b.open_until)
      from tasker_engine.channels c join tasker_engine.breakers b on b.breaker_id = c.breaker_id where c.channel_id = _channel),
      'waits for a worker to have room')
    else (select 'no living worker has the handler "' || c.handler || '" in queue "' || c.queue || '"'
          from tasker_engine.channels c where c.channel_id = _channel)
  end;
end $$;

-- waits_for: the same for a step that waits for parents: _unmet names six of them at most, _waiting says how many there are.
create or replace function tasker_engine.waits_for(_unmet text[], _waiting int) returns text language sql stable as $$
  select 'waits for ' || array_to_string(_unmet[1:5], ', ') || case when _waiting > 5 then ' and ' || _waiting - 5 || ' more' else '' end
$$;
