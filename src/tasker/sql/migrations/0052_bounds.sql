-- The bounds of the lanes, in a table of their own. Each rise is a new row, and readers take the greatest from the end of the
-- index: rows that are gone but cannot be removed lie before it, and nobody passes them. A lane without a row begins at 0.
create table tasker_engine.bounds (
  lane int not null,
  bound bigint not null,
  primary key (lane, bound));
alter table tasker_engine.bounds set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0);
insert into tasker_engine.bounds (lane, bound) select l.lane, l.bound from tasker_engine.lanes l where l.bound > 0;
alter table tasker_engine.lanes drop column bound;

alter table tasker_engine.bounds enable row level security;
create policy confined on tasker_engine.bounds
  using ((select not tasker_engine.is_confined())
    or lane = any (array(select l.lane from tasker_engine.lanes l))) with check (true);
