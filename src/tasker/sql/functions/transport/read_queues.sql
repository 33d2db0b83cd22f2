-- Queues of PGMQ, as workers read them.

-- read_queues: messages of these queues, hidden from others for so long. Queues that do not exist yet are passed over.
create or replace function tasker_engine.read_queues(_queues text[], _hidden_s int, _most int)
returns table (queue text, msg_id bigint, read_ct int, message text) language plpgsql set enable_indexscan = on as $$
begin
  return query
  select q.name, m.msg_id, m.read_ct, m.message::text
  from unnest(_queues) as q(name)
  join pgmq.meta known on known.queue_name = q.name
  cross join lateral pgmq.read(q.name, _hidden_s, _most) m;
end $$;

-- settle_queue: these messages are done; those that nobody can make sense of go to the queue for such. Answers how many of them went.
create or replace function tasker_engine.settle_queue(_queue text, _done bigint[], _dead bigint[], _dead_bodies jsonb[], _problem text)
returns int language plpgsql set enable_indexscan = on as $$
declare
  gone bigint[];
begin
  perform pgmq.delete(_queue, _done);
  if _dead = '{}' then
    return 0;
  end if;
  gone := array(select pgmq.delete(_queue, _dead));
  perform pgmq.create(left(_queue, 43) || '_dlq');
  perform pgmq.send_batch(left(_queue, 43) || '_dlq', array(
    select jsonb_build_object('message', d.body, 'queue', _queue, 'msg_id', d.msg_id, 'problem', _problem)
    from unnest(_dead, _dead_bodies) as d(msg_id, body) where d.msg_id = any (gone)));
  return cardinality(gone);
end $$;
