-- prune_events: looks at some settled events and deletes those that are old and handed to all their subscribers, and, much later,
-- the others too. The sweep remembers how far it has looked, so that what stays is not looked at each time. Answers how many went.
create or replace function tasker_engine.prune_events(_most int, _now timestamptz) returns int language plpgsql
set enable_indexscan = on as $$
declare
  old timestamptz := _now - make_interval(secs => tasker_engine.setting('event_keep_s'));
  ancient timestamptz := _now - make_interval(secs => tasker_engine.setting('event_undelivered_keep_s'));
  looked bigint[];
  gone bigint[];
begin
  looked := array(
    select e.position from tasker_engine.events e
    where e.position > (select w.events_after from tasker_engine.sweeps w) and e.settled_at < old order by e.position limit _most);
  gone := array(
    select e.position from tasker_engine.events e
    where e.position = any (looked) and (e.settled_at < ancient or not exists (
      select from tasker_engine.event_deliveries d where d.position = e.position)));
  delete from tasker_engine.event_deliveries d where d.position = any (gone);
  delete from tasker_engine.events e where e.position = any (gone);
  update tasker_engine.sweeps set events_after = case when cardinality(looked) < _most then 0 else looked[_most] end
  where events_after <> case when cardinality(looked) < _most then 0 else looked[_most] end;
  return cardinality(gone);
end $$;
