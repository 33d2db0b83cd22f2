-- act_on_session: what an operator wants of a worker: pause it (it finishes what it has, and is handed nothing further), drain it
-- (the same, and then it ends), or resume a paused one. It counts at once; the worker hears of it by its next beat.
--
-- Recorded with actor and reason; a repeat with the same _act_id answers what the first did. Raises TK020 where no such session
-- lives, TK012 for what cannot be wanted of it.
create or replace function tasker_engine.act_on_session(
  _act_id uuid, _action text, _session_uuid uuid, _actor text, _reason text, _now timestamptz default null)
returns jsonb language plpgsql as $$
declare
  session tasker_engine.sessions;
  before tasker_engine.fleet_acts;
  wanted_now text := case _action when 'pause' then 'paused' when 'drain' then 'drained' end;
  answer jsonb;
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(hashtextextended(_act_id::text, 0));
  select * into session from tasker_engine.sessions s where s.session_uuid = _session_uuid for no key update;
  select * into before from tasker_engine.fleet_acts a where a.act_id = _act_id;
  if found and before.session_id is distinct from session.session_id then
    raise exception 'the act % was done to something else', _act_id using errcode = 'TK012', hint = 'make a new id for each act';
  elsif found then
    return before.answer;
  end if;
  if session.session_id is null or session.ended_at is not null then
    raise exception 'no worker lives in the session %', _session_uuid using errcode = 'TK020',
      hint = '`tasker worker list` shows those that live';
  elsif _action not in ('pause', 'drain', 'resume') then
    raise exception 'there is no action "%" on a worker: it is one of pause, drain, resume', _action using errcode = 'TK012';
  elsif session.wanted = 'drained' and _action <> 'drain' then
    raise exception 'the worker drains: it ends when it is done' using errcode = 'TK012', hint = 'start another one';
  end if;
  _now := tasker_engine.clock(_now);
  update tasker_engine.sessions s set wanted = wanted_now where s.session_id = session.session_id;
  insert into tasker_engine.session_notes as n (session_id, wanted_by, wanted_reason, wanted_at)
  values (session.session_id, _actor, _reason, _now)
  on conflict (session_id) do update set wanted_by = excluded.wanted_by, wanted_reason = excluded.wanted_reason, wanted_at = excluded.wanted_at;
  answer := jsonb_build_object('action', _action, 'session_uuid', _session_uuid, 'name', session.name,
    'state', tasker_engine.session_state(wanted_now, null));
  insert into tasker_engine.fleet_acts (act_id, action, session_id, actor, reason, at, answer)
  values (_act_id, _action || '_worker', session.session_id, _actor, _reason, _now, answer);
  return answer;
end $$;

-- session_state: how a worker is, in a word: running, paused, draining, ended.
create or replace function tasker_engine.session_state(_wanted text, _ended_at timestamptz) returns text language sql immutable as $$
  select case when _ended_at is not null then 'ended' when _wanted = 'paused' then 'paused' when _wanted = 'drained' then 'draining' else 'running' end
$$;

-- describe_session: what a worker says of itself when it begins: its version, and its handlers with their versions ('': none).
create or replace function tasker_engine.describe_session(_session int, _version text, _handlers text[], _versions text[]) returns void
language plpgsql as $$
begin
  insert into tasker_engine.session_notes as n (session_id, version, handlers, versions)
  select s.session_id, _version, _handlers, _versions from tasker_engine.sessions s where s.session_id = _session
  on conflict (session_id) do update set version = excluded.version, handlers = excluded.handlers, versions = excluded.versions;
end $$;
