-- Breakers: one for each outside system that a template or a handler names as its `system_dependency`. A channel belongs to
-- one or to none: steps of different systems lie in different lanes, so that an open breaker is a lane that is passed over.
--
-- `failures` in a row, while closed; `successes` of probes, while half open; `openings` in a row, without closing between
-- them. `open_until` null while open: until an operator resets it. The limits are null where the fleet's settings apply.
create table tasker_engine.breakers (
  breaker_id int generated always as identity primary key,
  name text not null unique check (length(name) between 1 and 255),
  state text not null default 'closed' check (state in ('closed', 'open', 'half_open')),
  failures int not null default 0,
  successes int not null default 0,
  openings int not null default 0,
  moves int not null default 0,
  changed_at timestamptz not null default 'epoch',
  open_until timestamptz,
  failure_threshold int check (failure_threshold > 0),
  success_threshold int check (success_threshold > 0),
  probes int check (probes > 0),
  reset_s double precision check (reset_s > 0),
  reset_max_s double precision check (reset_max_s > 0)) with (fillfactor = 50);
create index breakers_in_trouble on tasker_engine.breakers (breaker_id) where state <> 'closed' or failures > 0;

-- The steps that run as probes of a breaker. A row counts only while its step runs this attempt.
create table tasker_engine.breaker_probes (
  breaker_id int not null,
  task_id uuid not null,
  number int not null,
  attempt int not null,
  primary key (breaker_id, task_id, number));

-- What outcomes say of a breaker, until it is counted: at once by the report itself, or where another held the breaker's row
-- at that moment, by the next who holds it. (No foreign key: an insert would wait for whoever holds the breaker's row.)
create table tasker_engine.breaker_signals (
  breaker_id int not null,
  signal_no bigint generated always as identity,
  granted_at timestamptz not null,
  is_probe boolean not null,
  is_success boolean not null,
  primary key (breaker_id, signal_no));

-- The history of breakers: by themselves (no actor), and by operators. `act_id` makes a repeat answer the same.
create table tasker_engine.breaker_moves (
  breaker_id int not null references tasker_engine.breakers,
  seq int not null,
  from_state text not null,
  to_state text not null,
  at timestamptz not null,
  actor text,
  reason text,
  detail jsonb,
  act_id uuid unique,
  primary key (breaker_id, seq));

-- `system_dependency` is what the template says, '' where it says nothing: then the handler may name the breaker.
alter table tasker_engine.channels
  add column system_dependency text not null default '',
  add column breaker_id int references tasker_engine.breakers,
  drop constraint channels_namespace_id_queue_handler_key,
  add constraint channels_of_steps unique (namespace_id, queue, handler, system_dependency);
-- Whether some channel that the session serves belongs to a breaker: only then its turns look at breakers at all.
alter table tasker_engine.sessions add column is_guarded boolean not null default false;
create index channels_by_breaker on tasker_engine.channels (breaker_id) where breaker_id is not null;
