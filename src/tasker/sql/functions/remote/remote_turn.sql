-- The verbs of a turn for a worker on the network. Each says whose the session is and which turn it belongs to, and does what
-- the verb of its name does, for what the session serves. (begin_remote_turn has the rules.)

-- remote_report: report.
create or replace function tasker_engine.remote_report(
  _session_uuid uuid, _owner text, _namespaces text[], _turn bigint, _is_first boolean,
  _task_ids uuid[], _numbers int[], _attempts int[], _kinds text[], _payloads text[],
  _retry_after_s double precision[], _run_s double precision[], _free int[], _may_wait boolean)
returns setof tasker_engine.reply language plpgsql as $$
declare
  session int := tasker_engine.begin_remote_turn(_session_uuid, _owner, _namespaces, _turn, _is_first);
  served tasker_engine.remote_serving := tasker_engine.remote_serving(session);
begin
  perform tasker_engine.require_reached(session, _task_ids);
  return query select * from tasker_engine.report(session, _task_ids, _numbers, _attempts, _kinds, _payloads, _retry_after_s, _run_s,
    '{}', served.channels, served.pools, _free, _may_wait);
  if _turn % 32 = 0 then
    perform tasker_engine.drop_finished_grants(session);
  end if;
end $$;

-- remote_claim: claim.
create or replace function tasker_engine.remote_claim(
  _session_uuid uuid, _owner text, _namespaces text[], _turn bigint, _is_first boolean, _free int[], _may_be_alone boolean)
returns setof tasker_engine.reply language plpgsql as $$
declare
  session int := tasker_engine.begin_remote_turn(_session_uuid, _owner, _namespaces, _turn, _is_first);
  served tasker_engine.remote_serving := tasker_engine.remote_serving(session);
begin
  return query select * from tasker_engine.claim(session, served.channels, served.pools, _free, _may_be_alone);
end $$;

-- remote_regrant: regrant.
create or replace function tasker_engine.remote_regrant(
  _session_uuid uuid, _owner text, _namespaces text[], _turn bigint, _is_first boolean,
  _task_ids uuid[], _numbers int[], _attempts int[])
returns setof tasker_engine.reply language plpgsql as $$
declare
  session int := tasker_engine.begin_remote_turn(_session_uuid, _owner, _namespaces, _turn, _is_first);
begin
  return query select * from tasker_engine.regrant(session, _task_ids, _numbers, _attempts);
end $$;
