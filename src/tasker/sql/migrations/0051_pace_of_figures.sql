-- When figures were gathered last, whether more had ended than one call gathers, and how long it took (see keep_figures).
alter table tasker_engine.sweeps
  add column figures_at timestamptz not null default 'epoch',
  add column figures_lag boolean not null default false,
  add column figures_s double precision not null default 0;
