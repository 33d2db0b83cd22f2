-- passable: of the channels that a session serves, with their pools, those that are not paused and whose breaker is closed, or
-- that have none. What is freed for the others becomes ready, and is claimed by nobody.
create or replace function tasker_engine.passable(inout channels int[], inout pools int[]) language plpgsql stable as $$
declare
  barred int[] := tasker_engine.barred_channels();
begin
  select coalesce(array_agg(s.channel_id order by s.place), '{}'), coalesce(array_agg(s.pool order by s.place), '{}')
  into channels, pools
  from unnest(channels, pools) with ordinality as s(channel_id, pool, place) where s.channel_id <> all (barred);
end $$;

-- barred_channels: those whose breaker is not closed, and those that are paused.
create or replace function tasker_engine.barred_channels() returns int[] language plpgsql stable as $$
begin
  return array(
    select c.channel_id from tasker_engine.breakers b join tasker_engine.channels c on c.breaker_id = b.breaker_id
    where b.state <> 'closed') || tasker_engine.paused_channels();
end $$;

-- is_any_in_trouble: whether some breaker is not closed, or counts failures, or some queue is paused.
create or replace function tasker_engine.is_any_in_trouble() returns boolean language plpgsql stable as $$
begin
  return exists (select from tasker_engine.breakers b where b.state <> 'closed' or b.failures > 0)
    or exists (select from tasker_engine.pauses p where p.ended_at is null);
end $$;

-- next_due_or_probe_s: next_due_s, or where that is sooner, seconds until a breaker lets probes through.
create or replace function tasker_engine.next_due_or_probe_s(_now timestamptz) returns double precision language plpgsql stable as $$
begin
  return least(tasker_engine.next_due_s(_now), (
    select extract(epoch from min(b.open_until) - _now) from tasker_engine.breakers b
    where b.state <> 'closed' and b.open_until > _now));
end $$;
