-- Pauses of queues: which channels they keep back, and the words for them. A paused channel is passed over as one whose breaker is
-- open: see breakers/passable.sql.

-- paused_channels: those of which nothing is handed out, because an operator has paused them.
create or replace function tasker_engine.paused_channels() returns int[] language plpgsql stable as $$
begin
  if not exists (select from tasker_engine.pauses p where p.ended_at is null) then
    return '{}';
  end if;
  return tasker_engine.channels_paused_since('infinity');
end $$;

-- channels_paused_since: the same, and those whose pause ended after that moment.
create or replace function tasker_engine.channels_paused_since(_since timestamptz) returns int[] language plpgsql stable as $$
begin
  return array(
    select distinct c.channel_id from tasker_engine.pauses p
    join tasker_engine.channels c on c.namespace_id = p.namespace_id
      and (p.queue is null or c.queue = p.queue) and (p.handler is null or c.handler = p.handler)
    where p.ended_at is null or p.ended_at > _since);
end $$;

-- unpaused: of the channels that a session serves, with their pools, those that are not paused.
create or replace function tasker_engine.unpaused(inout channels int[], inout pools int[]) language plpgsql stable as $$
declare
  paused int[] := tasker_engine.paused_channels();
begin
  if paused = '{}' then
    return;
  end if;
  select coalesce(array_agg(s.channel_id order by s.place), '{}'), coalesce(array_agg(s.pool order by s.place), '{}')
  into channels, pools
  from unnest(channels, pools) with ordinality as s(channel_id, pool, place) where s.channel_id <> all (paused);
end $$;

-- pause_over: whether a ready step of a task waits in a paused queue, and when the last pause of such a queue ended.
create or replace function tasker_engine.pause_over(
  _task_id uuid, _template_id int, out is_paused boolean, out ended_at timestamptz) language plpgsql stable as $$
#variable_conflict use_column
begin
  is_paused := false;
  if not exists (select from tasker_engine.pauses) then
    return;
  end if;
  select coalesce(bool_or(p.ended_at is null), false), max(p.ended_at) into is_paused, ended_at
  from tasker_engine.steps s
  join tasker_engine.plan_of(_template_id) t on t.number = tasker_engine.plan_number(s.number)
  join tasker_engine.channels c on c.channel_id = t.channel_id
  join tasker_engine.pauses p on p.namespace_id = c.namespace_id
    and (p.queue is null or c.queue = p.queue) and (p.handler is null or c.handler = p.handler)
  where s.task_id = _task_id and s.state = 'enqueued';
end $$;

-- pause_says: why steps of a paused queue wait, as a sentence.
create or replace function tasker_engine.pause_says(_pause tasker_engine.pauses, _namespace text) returns text
language sql stable as $$
  select tasker_engine.scope_says(_namespace, _pause.queue, _pause.handler) || ' is paused by ' || _pause.actor || ' since '
    || tasker_engine.said_time(_pause.since) || coalesce(' until ' || tasker_engine.said_time(_pause.until), '')
    || coalesce(': ' || _pause.reason, '')
$$;

-- scope_says: what is paused, in words.
create or replace function tasker_engine.scope_says(_namespace text, _queue text, _handler text) returns text language sql immutable as $$
  select case
    when _handler is not null then
      'the handler "' || _handler || '" in ' || case when _queue is null then 'every queue' else 'the queue "' || _queue || '"' end
    when _queue is not null then 'the queue "' || _queue || '"'
    else 'every queue'
  end || ' of the namespace "' || _namespace || '"'
$$;
