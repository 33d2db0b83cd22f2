-- why_queue_paused (kind `queue_paused`): ready steps that wait because an operator has paused their queue.
--
-- data: by, reason, since, until (null: until somebody resumes it), namespace, queue, handler (null: every one is paused).
create or replace function tasker_engine.why_queue_paused(_task tasker_engine.tasks, _now timestamptz)
returns table (number int, kind text, said text, data jsonb) language plpgsql stable as $$
#variable_conflict use_column
begin
  if tasker_engine.paused_channels() = '{}' then
    return;
  end if;
  return query
  select s.number, 'queue_paused', tasker_engine.pause_says(p, n.name),
    jsonb_build_object('by', p.actor, 'reason', p.reason, 'since', p.since, 'until', p.until, 'namespace', n.name,
      'queue', p.queue, 'handler', p.handler)
  from tasker_engine.steps s
  join tasker_engine.plan_of(_task.template_id) t on t.number = tasker_engine.plan_number(s.number)
  join tasker_engine.channels c on c.channel_id = t.channel_id
  join tasker_engine.namespaces n on n.namespace_id = c.namespace_id
  cross join lateral (
    select * from tasker_engine.pauses w
    where w.namespace_id = c.namespace_id and w.ended_at is null and (w.queue is null or w.queue = c.queue)
      and (w.handler is null or w.handler = c.handler)
    order by w.pause_id limit 1) p
  where s.task_id = _task.task_id and s.state = 'enqueued';
end $$;

-- is_queue_paused: whether steps of this handler in this queue of a namespace are kept back by an operator.
create or replace function tasker_engine.is_queue_paused(_namespace_id int, _queue text, _handler text) returns boolean
language plpgsql stable as $$
begin
  return exists (
    select from tasker_engine.pauses p
    where p.namespace_id = _namespace_id and p.ended_at is null and (p.queue is null or p.queue = _queue)
      and (p.handler is null or p.handler = _handler));
end $$;
