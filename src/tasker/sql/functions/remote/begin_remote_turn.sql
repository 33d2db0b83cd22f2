-- begin_remote_turn: the session's number, with its turn lock held, if this is its latest turn.
--
-- A call that was sent again, or lay somewhere while the worker went on, must grant nothing that the worker does not hear of. So
-- each turn has a number that is higher than that of the one before; the first call of a turn (_is_first) claims it, and
-- what a turn does later, after it waited for work, is done only while no newer one has begun. Raises TK021.
create or replace function tasker_engine.begin_remote_turn(
  _session_uuid uuid, _owner text, _namespaces text[], _turn bigint, _is_first boolean) returns int language plpgsql as $$
declare
  session int := tasker_engine.remote_session(_session_uuid, _owner, _namespaces);
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(tasker_engine.session_lock_class(), session);
  if _is_first then
    update tasker_engine.remote_sessions set turn = _turn where session_id = session and turn < _turn;
  else
    perform from tasker_engine.remote_sessions where session_id = session and turn = _turn;
  end if;
  if not found then
    raise exception 'turn % of the session is not its latest any more', _turn
      using errcode = 'TK021', hint = 'begin a turn with a higher number, and name in it what the worker holds';
  end if;
  return session;
end $$;

-- remote_serving: what a session serves, as the verbs want it.
create or replace function tasker_engine.remote_serving(_session int) returns tasker_engine.remote_serving language plpgsql stable as $$
declare answer tasker_engine.remote_serving;
begin
  select array_agg(c.channel_id), array_agg(r.pools[array_position(r.handlers, c.handler)]) into answer.channels, answer.pools
  from (select * from tasker_engine.remote_sessions n where n.session_id = _session offset 0) r
  cross join lateral (
    select n.channel_id from tasker_engine.session_channels n where n.session_id = r.session_id offset 0) sc
  cross join lateral (
    select n.channel_id, n.handler from tasker_engine.channels n where n.channel_id = sc.channel_id offset 0) c;
  answer.channels := coalesce(answer.channels, '{}');
  answer.pools := coalesce(answer.pools, '{}');
  return answer;
end $$;

-- drop_finished_grants: grants of which a session holds nothing any more. A worker on the network does not keep count of them.
create or replace function tasker_engine.drop_finished_grants(_session int) returns void language plpgsql as $$
begin
  perform tasker_engine.drop_grants(_session, array(
    select g.grant_no from tasker_engine.grants g
    where g.session_id = _session and not exists (
      select from unnest(g.task_ids, g.numbers) as h(task_id, number)
      cross join lateral (
        select n.state, n.session_id from tasker_engine.steps n
        where n.task_id = h.task_id and n.number = h.number offset 0) s
      where s.state = 'in_progress' and s.session_id = _session)));
end $$;
