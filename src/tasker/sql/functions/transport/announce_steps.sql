-- announce_steps: a message for each step that has come to lie ready, in the transaction that puts it there. It says where the
-- step is, which attempt its next grant will be, and which handler it needs; who is late finds that it is so, and nothing happens.
create or replace function tasker_engine.announce_steps() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
  perform tasker_engine.send_messages('step', array_agg(m.queue), array_agg(m.queue), array_agg(m.body))
  from (
    select tasker_engine.message_queue('step', c.queue) as queue, jsonb_build_object('task_uuid', f.task_id,
      'step_uuid', tasker_engine.step_uuid(f.task_id, f.number), 'correlation_id', coalesce(i.correlation_id, f.task_id),
      'step_number', f.number, 'attempt', s.attempt + 1, 'namespace', n.name, 'handler', c.handler) as body
    from fresh f
    join tasker_engine.lanes l on l.lane = f.lane
    join tasker_engine.channels c on c.channel_id = l.channel_id
    join tasker_engine.namespaces n on n.namespace_id = c.namespace_id
    join tasker_engine.steps s on s.task_id = f.task_id and s.number = f.number
    join tasker_engine.inputs i on i.task_id = f.task_id
    order by f.seq) m
  having count(*) > 0;
  return null;
end $$;
