-- act_on_queue: what an operator does to the queues of a namespace: pause them (for so many seconds, or until somebody resumes
-- them), or resume them. _queue and _handler null: every one. What runs goes on; nothing further is handed out, by any worker.
--
-- Recorded with actor and reason; a repeat with the same _act_id answers what the first did. A pause of what is paused changes
-- its end and reason. A resume is of what was paused in the same words; `is_paused` says whether another pause still holds it.
-- With its owner's rights: it asks whether the caller reaches the namespace. Raises TK020, TK012, TK008.
create or replace function tasker_engine.act_on_queue(
  _act_id uuid, _action text, _namespace text, _queue text, _handler text, _for_s double precision,
  _actor text, _reason text, _now timestamptz default null) returns jsonb language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
declare
  home int;
  before tasker_engine.fleet_acts;
  pause tasker_engine.pauses;
  answer jsonb;
begin
  perform tasker_engine.require_read_committed();
  perform tasker_engine.require_namespace(_namespace);
  perform pg_advisory_xact_lock(hashtextextended(_act_id::text, 0));
  home := tasker_engine.require_queue(_namespace, _queue, _handler);
  select * into before from tasker_engine.fleet_acts a where a.act_id = _act_id;
  if found and before.namespace_id is distinct from home then
    raise exception 'the act % was done to something else', _act_id using errcode = 'TK012', hint = 'make a new id for each act';
  elsif found then
    return before.answer;
  end if;
  _now := tasker_engine.clock(_now);
  if _action = 'pause' then
    pause := tasker_engine.begin_pause(home, _queue, _handler, _for_s, _actor, _reason, _now);
  elsif _action = 'resume' then
    pause := tasker_engine.end_pause(home, _queue, _handler, _actor, _reason, _now);
  else
    raise exception 'there is no action "%" on a queue: it is one of pause, resume', _action using errcode = 'TK012';
  end if;
  if pause.pause_id is null then
    raise exception '% is not paused in these words', tasker_engine.scope_says(_namespace, _queue, _handler)
      using errcode = 'TK012', hint = '`tasker queue list` shows what is paused';
  end if;
  answer := jsonb_build_object('action', _action, 'namespace', _namespace, 'queue', _queue, 'handler', _handler,
    'since', pause.since, 'until', pause.until, 'is_paused', exists (
      select from tasker_engine.pauses p where p.namespace_id = home and p.ended_at is null
        and (p.queue is null or p.queue = coalesce(_queue, p.queue)) and (p.handler is null or p.handler = coalesce(_handler, p.handler))));
  insert into tasker_engine.fleet_acts (act_id, action, namespace_id, actor, reason, at, answer)
  values (_act_id, _action || '_queue', home, _actor, _reason, _now, answer);
  return answer;
end $$;

-- require_queue: the namespace's number. Raises TK020 where no template of it has such a queue or handler: nothing would be paused.
create or replace function tasker_engine.require_queue(_namespace text, _queue text, _handler text) returns int
language plpgsql stable as $$
declare
  home int := (select n.namespace_id from tasker_engine.namespaces n where n.name = _namespace);
begin
  if home is null then
    raise exception 'there is no namespace "%"', _namespace using errcode = 'TK020', hint = '`tasker queue list` shows those there are';
  end if;
  if not exists (
      select from tasker_engine.channels c where c.namespace_id = home
        and (_queue is null or c.queue = _queue) and (_handler is null or c.handler = _handler)) then
    raise exception 'no template has %', tasker_engine.scope_says(_namespace, _queue, _handler)
      using errcode = 'TK020', hint = '`tasker queue list` and `tasker handler list` show those there are';
  end if;
  return home;
end $$;

-- begin_pause: notes a pause, and has the sessions that serve its channels look at pauses from now on.
create or replace function tasker_engine.begin_pause(
  _home int, _queue text, _handler text, _for_s double precision, _actor text, _reason text, _now timestamptz)
returns tasker_engine.pauses language plpgsql as $$
declare
  pause tasker_engine.pauses;
begin
  if _for_s is not null and not _for_s between 0.001 and 31536000 then
    raise exception 'a pause cannot last % s', _for_s using errcode = 'TK008', hint = 'seconds are 0.001 to 31536000';
  end if;
  insert into tasker_engine.pauses (namespace_id, queue, handler, actor, reason, since, until)
  values (_home, _queue, _handler, _actor, _reason, _now, _now + make_interval(secs => _for_s))
  on conflict (namespace_id, coalesce(queue, ''), coalesce(handler, '')) where ended_at is null
  do update set actor = excluded.actor, reason = excluded.reason, until = excluded.until
  returning * into pause;
  perform tasker_engine.guard_sessions(tasker_engine.paused_channels());
  return pause;
end $$;

-- end_pause: the pause in the same words ends; null where there is none.
create or replace function tasker_engine.end_pause(
  _home int, _queue text, _handler text, _actor text, _reason text, _now timestamptz)
returns tasker_engine.pauses language plpgsql as $$
declare
  pause tasker_engine.pauses;
begin
  update tasker_engine.pauses p set ended_at = _now, ended_by = _actor, end_reason = _reason
  where p.namespace_id = _home and p.queue is not distinct from _queue and p.handler is not distinct from _handler
    and p.ended_at is null
  returning * into pause;
  return pause;
end $$;

-- sweep_pauses: pauses whose time is over end; sessions that came while a queue was being paused look at pauses too.
-- Answers how many ended.
create or replace function tasker_engine.sweep_pauses(_now timestamptz) returns int language plpgsql as $$
declare
  ended int;
begin
  if not exists (select from tasker_engine.pauses p where p.ended_at is null) then
    return 0;
  end if;
  with over as materialized (
    select p.pause_id from tasker_engine.pauses p where p.ended_at is null and p.until <= _now for no key update skip locked)
  update tasker_engine.pauses p set ended_at = _now, ended_by = 'tasker', end_reason = 'its time was over'
  from over o where p.pause_id = o.pause_id;
  get diagnostics ended = row_count;
  perform tasker_engine.guard_sessions(tasker_engine.paused_channels());
  return ended;
end $$;
