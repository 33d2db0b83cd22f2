-- announce_results: a message for each outcome of a step, for consumers of PGMQ that read along; the outcome is in the tables, and
-- recorded. Tasker itself reads none of them.
create or replace function tasker_engine.announce_results() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
  perform tasker_engine.send_to_pgmq(array_agg('orchestration_step_results'::text), array_agg(m.body))
  from (
    select jsonb_build_object('task_uuid', f.task_id, 'step_uuid', tasker_engine.step_uuid(f.task_id, f.number),
      'correlation_id', coalesce(i.correlation_id, f.task_id), 'step_number', f.number, 'attempt', f.attempt, 'namespace', n.name,
      'state', f.to_state) as body
    from fresh f
    join tasker_engine.tasks t on t.task_id = f.task_id
    join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
    join tasker_engine.inputs i on i.task_id = f.task_id
    where f.number > 0 and f.to_state in ('complete', 'error', 'waiting_for_retry', 'resolved_manually')) m
  having count(*) > 0;
  return null;
end $$;
