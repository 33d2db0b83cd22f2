-- Confinement of breakers; see 0022. A breaker is seen by those whose steps depend on its system. (What operators did to it, and
-- signals, are read by none that are confined.)
alter table tasker_engine.breakers enable row level security;
create policy confined on tasker_engine.breakers
  using ((select not tasker_engine.is_confined())
    or (select true from tasker_engine.channels c where c.breaker_id = breakers.breaker_id limit 1)) with check (true);

alter table tasker_engine.breaker_probes enable row level security;
create policy confined on tasker_engine.breaker_probes
  using ((select not tasker_engine.is_confined())
    or (select true from tasker_engine.tasks t where t.task_id = breaker_probes.task_id)) with check (true);
