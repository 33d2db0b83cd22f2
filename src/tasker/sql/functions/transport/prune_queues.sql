-- prune_queues: deletes messages that nobody has read for a day (the setting message_keep_s) from the queues of PGMQ that Tasker
-- writes, some at a time; events stay as long as in the outbox. PGMQ has a table for each queue: so their names are put together.
create or replace function tasker_engine.prune_queues(_most int, _now timestamptz default null) returns int language plpgsql
set enable_indexscan = on set enable_seqscan = on as $$
declare
  written record;
  went int;
  total int := 0;
begin
  _now := tasker_engine.clock(_now);
  for written in
    select q.queue_name, case when q.queue_name like '%\_domain\_events' then 'event_keep_s' else 'message_keep_s' end as keep
    from pgmq.meta q
    where q.queue_name in (
      select tasker_engine.message_queue('step', c.queue) from tasker_engine.channels c
      union select tasker_engine.message_queue('event', n.name) from tasker_engine.namespaces n
      union select 'orchestration_step_results')
    order by q.queue_name
  loop
    execute format('delete from pgmq.%1$I d where d.msg_id = any (array('
      'select o.msg_id from (select msg_id, enqueued_at from pgmq.%1$I order by msg_id limit $1) o where o.enqueued_at < $2))',
      pgmq.format_table_name(written.queue_name, 'q'))
    using _most, _now - make_interval(secs => tasker_engine.setting(written.keep));
    get diagnostics went = row_count;
    total := total + went;
  end loop;
  return total;
end $$;
