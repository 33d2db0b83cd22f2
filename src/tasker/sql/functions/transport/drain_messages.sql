-- The outbox for RabbitMQ: one publisher at a time drains it, and whoever comes after one that died sends some messages again.

-- lease_outbox: this publisher drains the outbox for so long, unless another one does. Answers whether it is this one.
create or replace function tasker_engine.lease_outbox(_owner uuid, _lease_s double precision) returns boolean language plpgsql
set enable_seqscan = on as $$
begin
  perform tasker_engine.require_read_committed();
  perform from tasker_engine.publisher p
  where p.owner = _owner or p.leased_until <= clock_timestamp() for no key update skip locked;
  if not found then
    return false;
  end if;
  update tasker_engine.publisher set owner = _owner, leased_until = clock_timestamp() + make_interval(secs => _lease_s);
  return true;
end $$;

-- leave_outbox: another may drain it at once.
create or replace function tasker_engine.leave_outbox(_owner uuid) returns void language sql set enable_seqscan = on as $$
  update tasker_engine.publisher set owner = null, leased_until = 'epoch' where owner = _owner
$$;

-- take_messages: what is to be sent next after _after, in order, to the publisher that has the lease; nothing to others.
create or replace function tasker_engine.take_messages(_owner uuid, _after bigint, _most int)
returns table (seq bigint, kind text, queue text, routing_key text, body text) language plpgsql stable
set enable_indexscan = on set enable_seqscan = on as $$
begin
  return query
  select m.seq, m.kind, m.queue, m.routing_key, m.body::text from tasker_engine.messages m
  where m.seq > _after and exists (
    select from tasker_engine.publisher p where p.owner = _owner and p.leased_until > clock_timestamp())
  order by m.seq limit _most;
end $$;

-- drop_messages: these have been sent, and the broker has confirmed them. Answers how many.
create or replace function tasker_engine.drop_messages(_seqs bigint[]) returns int language plpgsql as $$
declare
  dropped int;
begin
  delete from tasker_engine.messages m where m.seq = any (_seqs);
  get diagnostics dropped = row_count;
  return dropped;
end $$;

-- prune_messages: drops announcements of steps that have waited for the broker for longer than the setting message_keep_s: polling
-- has found those steps. Events wait as long as it takes. Answers how many went.
create or replace function tasker_engine.prune_messages(_most int, _now timestamptz default null) returns int language plpgsql
set enable_indexscan = on as $$
declare
  old timestamptz := tasker_engine.clock(_now) - make_interval(secs => tasker_engine.setting('message_keep_s'));
  dropped int;
begin
  delete from tasker_engine.messages m where m.seq = any (array(
    select o.seq from (select w.seq, w.kind, w.made_at from tasker_engine.messages w order by w.seq limit _most) o
    where o.kind = 'step' and o.made_at < old));
  get diagnostics dropped = row_count;
  return dropped;
end $$;
