-- announce_events: a message for each of these domain events, which have just been published, in their order. Called under the lock
-- of settle_events, so that messages are in the order of the outbox too.
create or replace function tasker_engine.announce_events(_positions bigint[]) returns void language plpgsql set enable_indexscan = on as $$
begin
  if (select t.name from tasker_engine.transport t) = 'direct' then
    return;
  end if;
  perform tasker_engine.send_messages('event', array_agg(tasker_engine.message_queue('event', e.namespace) order by e.position),
    array_agg(e.namespace || '.' || e.name order by e.position), array_agg(tasker_engine.event_message(e) order by e.position))
  from tasker_engine.read_events(0, cardinality(_positions), _positions => _positions) e
  having count(*) > 0;
end $$;

-- event_message: a domain event as consumers of queues read it.
create or replace function tasker_engine.event_message(_event record) returns jsonb language plpgsql stable as $$
begin
  return jsonb_build_object(
    'event_id', _event.event_id, 'event_name', _event.name, 'event_version', '1.0', 'position', _event.position,
    'payload', jsonb_build_object(
      'payload', _event.payload::jsonb,
      'execution_result', jsonb_build_object('success', _event.outcome = 'success', 'outcome', _event.outcome),
      'task_sequence_step', jsonb_build_object('task_uuid', _event.task_id, 'step_number', _event.number, 'attempt', _event.attempt,
        'template', _event.template, 'version', _event.version)),
    'metadata', coalesce(_event.metadata::jsonb, '{}') || jsonb_build_object('task_uuid', _event.task_id,
      'step_uuid', tasker_engine.step_uuid(_event.task_id, _event.number), 'step_name', _event.step_name,
      'namespace', _event.namespace, 'correlation_id', coalesce(_event.correlation_id, _event.task_id),
      'fired_at', _event.recorded_at, 'fired_by', coalesce(_event.publisher, 'tasker')));
end $$;
