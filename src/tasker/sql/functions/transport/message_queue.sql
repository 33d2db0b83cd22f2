-- message_queue: the name of the queue for `step` messages of a queue of steps, or for the `event` messages of a namespace. What
-- PGMQ would not take (47 characters at most, small letters) gets a short form of its own, with a part that tells it from others.
create or replace function tasker_engine.message_queue(_kind text, _name text) returns text language sql immutable strict as $$
  select case _kind when 'step' then 'worker_' || n || '_queue' when 'event' then n || '_domain_events' end
  from (select case when _name ~ '^[a-z0-9_]{1,29}$' then _name
    else left(regexp_replace(lower(_name), '[^a-z0-9_]', '_', 'g'), 20) || '_' || left(md5(_name), 8) end as n) named
$$;

-- worker_queues: the queues on which work for these handlers is announced, in these queues of steps (null: all).
create or replace function tasker_engine.worker_queues(_handlers text[], _queues text[] default null)
returns setof text language sql stable as $$
  select distinct tasker_engine.message_queue('step', c.queue) from tasker_engine.channels c
  where c.handler = any (_handlers) and (_queues is null or c.queue = any (_queues)) order by 1
$$;
