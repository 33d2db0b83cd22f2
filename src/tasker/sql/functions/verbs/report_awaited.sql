-- report_awaited: report, for a process in which somebody waits for some of the tasks. Of those that have ended it answers, beside
-- all that report does, a row of kind `view`: payload and info are the task and its steps, as task_views has them. So whoever
-- waits need not ask again.
create or replace function tasker_engine.report_awaited(
  _awaited uuid[], _session int, _task_ids uuid[], _numbers int[], _attempts int[], _kinds text[], _payloads text[],
  _retry_after_s double precision[], _run_s double precision[], _finished_grants bigint[],
  _channels int[], _pools int[], _free int[], _may_wait boolean default false,
  _now timestamptz default null, _chance double precision default null)
returns setof tasker_engine.reply language plpgsql as $$
begin
  return query select * from tasker_engine.report(_session, _task_ids, _numbers, _attempts, _kinds, _payloads, _retry_after_s, _run_s,
    _finished_grants, _channels, _pools, _free, _may_wait, _now, _chance);
  return query
  select 'view', (v.task ->> 'task_id')::uuid, null::int, null::int, null::int, null::int, v.task::text, v.steps
  from tasker_engine.task_views(array(
    select t.task_id from tasker_engine.tasks t
    where t.task_id = any (_awaited) and (t.state in ('complete', 'error')) is true)) v;
end $$;
