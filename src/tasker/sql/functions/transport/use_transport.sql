-- use_transport: from now on work is announced by this transport. Answers the one before it.
--
-- The triggers are there only while a transport needs them, so that without them a verb does nothing more. They are the one place
-- that sees each row that comes to lie ready, whichever verb writes it; they write messages, and never what the engine goes by.
-- Making them takes a lock on the table: it is waited for only for a moment, since all verbs would stand behind us. Then 55P03:
-- try again. What lies ready already is announced by nobody, and found by polling.
create or replace function tasker_engine.use_transport(_name text, _lock_ms int default 200) returns text language plpgsql as $$
declare
  before text;
begin
  perform set_config('lock_timeout', _lock_ms::text, true);
  select t.name into before from tasker_engine.transport t for no key update;
  if before = _name and tasker_engine.is_announced(_name) then
    return before;
  end if;
  drop trigger if exists announce_steps on tasker_engine.ready;
  drop trigger if exists announce_results on tasker_engine.transitions;
  if _name <> 'direct' then
    create trigger announce_steps after insert on tasker_engine.ready
    referencing new table as fresh for each statement execute function tasker_engine.announce_steps();
  end if;
  if _name = 'pgmq' then
    create trigger announce_results after insert on tasker_engine.transitions
    referencing new table as fresh for each statement execute function tasker_engine.announce_results();
  end if;
  update tasker_engine.transport set name = _name, changed_at = clock_timestamp();
  perform tasker_engine.forward_messages(_name);
  return before;
end $$;

-- is_announced: whether the triggers are there that this transport needs. A table that was made anew has lost its own.
create or replace function tasker_engine.is_announced(_name text) returns boolean language sql stable
set enable_seqscan = on set enable_indexscan = on as $$
  select (_name = 'direct' or exists (
      select from pg_trigger t where t.tgrelid = 'tasker_engine.ready'::regclass and t.tgname = 'announce_steps'))
    and (_name <> 'pgmq' or exists (
      select from pg_trigger t where t.tgrelid = 'tasker_engine.transitions'::regclass and t.tgname = 'announce_results'))
$$;

-- forward_messages: the outbox at a switch. Steps need no message of before; events go on to PGMQ, else they wait for RabbitMQ.
create or replace function tasker_engine.forward_messages(_name text) returns void language plpgsql set enable_seqscan = on as $$
begin
  delete from tasker_engine.messages where kind = 'step';
  if _name = 'pgmq' then
    perform tasker_engine.send_to_pgmq(array_agg(m.queue order by m.seq), array_agg(m.body order by m.seq))
    from tasker_engine.messages m having count(*) > 0;
    delete from tasker_engine.messages;
  end if;
end $$;
