-- send_messages: hands messages to the transport, in the transaction of what they tell of: parallel arrays, in their order.
create or replace function tasker_engine.send_messages(_kind text, _queues text[], _routing_keys text[], _bodies jsonb[])
returns void language plpgsql as $$
declare
  using_now text := (select t.name from tasker_engine.transport t);
begin
  if using_now = 'rabbitmq' then
    insert into tasker_engine.messages (kind, queue, routing_key, body, made_at)
    select _kind, m.queue, m.routing_key, m.body, clock_timestamp()
    from unnest(_queues, _routing_keys, _bodies) with ordinality as m(queue, routing_key, body, nth) order by m.nth;
  elsif using_now = 'pgmq' then
    perform tasker_engine.send_to_pgmq(_queues, _bodies);
  end if;
end $$;

-- send_to_pgmq: the same into queues of PGMQ, which are made when they are first needed, always in the order of their names.
create or replace function tasker_engine.send_to_pgmq(_queues text[], _bodies jsonb[]) returns void language plpgsql as $$
declare
  batch record;
begin
  for batch in
    select m.queue, array_agg(m.body order by m.nth) as bodies from unnest(_queues, _bodies) with ordinality as m(queue, body, nth)
    group by m.queue order by m.queue
  loop
    perform tasker_engine.make_queue(batch.queue);
    perform pgmq.send_batch(batch.queue, batch.bodies);
  end loop;
end $$;

-- make_queue: makes a queue of PGMQ, and with one for steps the one for what cannot be read there, unless it exists.
create or replace function tasker_engine.make_queue(_queue text) returns void language plpgsql as $$
begin
  if not exists (select from pgmq.meta q where q.queue_name = _queue) then
    perform pgmq.create(_queue);
    if _queue like 'worker\_%' then
      perform pgmq.create(left(_queue, 43) || '_dlq');
    end if;
  end if;
end $$;
