-- Decisions: what kind of step it is, how many of its parents are decisions, and for a convergence the decisions whose every
-- way leads through it.
alter table tasker_engine.template_steps
  add column type text not null default 'standard' check (type in ('standard', 'decision', 'deferred_convergence')),
  add column deciders int not null default 0,
  add column joins int[] not null default '{}';

-- Parents that will certainly not run, and among them decisions that did not choose the step; null: none. A step of which that
-- makes certain that it will not run loses its row.
alter table tasker_engine.steps
  add column passed int,
  add column declined int;
