-- settle_events: what became of events that this owner has taken: `published` (with payload and metadata), `declined` by their
-- publishers, `refused`, or `recorded`: their publishers failed, and are asked again after a while, but not for ever. What was
-- published is handed to the subscribers of this moment. Answers how many were the owner's. Positions are given out under a lock
-- that ends with the transaction: they become visible in their order. Published ones are handed to the transport too.
create or replace function tasker_engine.settle_events(
  _owner uuid, _seqs bigint[], _statuses text[], _payloads jsonb[], _metadata jsonb[], _problems text[], _now timestamptz default null)
returns int language plpgsql as $$
declare
  tries_max int := tasker_engine.setting('event_tries_max');
  settled int;
  published bigint[];
begin
  perform tasker_engine.require_read_committed();
  perform pg_advisory_xact_lock(tasker_engine.session_lock_class(), -1);
  _now := tasker_engine.clock(_now);
  with said as (
    select o.*, case when o.status = 'recorded' and e.tries >= tries_max then 'refused' else o.status end as final, e.tries
    from unnest(_seqs, _statuses, _payloads, _metadata, _problems) as o(seq, status, payload, metadata, problem)
    join tasker_engine.events e on e.seq = o.seq
    where e.owner = _owner and e.position is null
    order by o.seq for no key update of e),
  placed as materialized (
    select a.*, case when a.final <> 'recorded' then nextval('tasker_engine.event_positions') end as position
    from (select * from said s order by s.seq) a),
  moved as (
    update tasker_engine.events e
    set status = p.final, position = p.position, payload = p.payload, metadata = p.metadata, problem = p.problem, owner = null,
      leased_until = null, settled_at = case when p.final <> 'recorded' then _now end,
      due_at = _now + make_interval(secs => tasker_engine.event_wait_s(p.tries))
    from placed p where e.seq = p.seq
    returning e.position, e.task_id, e.name, e.status),
  handed as (
    insert into tasker_engine.event_deliveries (subscriber, position, task_id, due_at)
    select s.name, m.position, m.task_id, _now
    from moved m join tasker_engine.event_subscribers s on tasker_engine.event_matches(m.name, s.patterns)
    where m.status = 'published')
  select count(*), array_agg(m.position) filter (where m.status = 'published') into settled, published from moved m;
  if published is not null then
    perform tasker_engine.announce_events(published);
  end if;
  return settled;
end $$;

-- event_wait_s: how long to wait after so many failures of a publisher or a subscriber.
create or replace function tasker_engine.event_wait_s(_tries int) returns double precision language sql immutable as $$
  select least(60, 0.5 * 2 ^ least(_tries, 20))
$$;

-- event_matches: whether one of these patterns means the name; `*` stands for any text.
create or replace function tasker_engine.event_matches(_name text, _patterns text[]) returns boolean language sql immutable as $$
  select exists (select from unnest(_patterns) p where _name like replace(replace(replace(p, '\', '\\'), '_', '\_'), '*', '%'))
$$;
