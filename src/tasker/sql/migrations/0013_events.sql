-- Domain events: what steps tell the world of their outcomes, in an outbox of the engine's own.
--
-- What a template's steps publish; `place` is where it stands in the step's list. Asked by each report: so it is narrow.
create table tasker_engine.template_events (
  template_id int not null,
  number int not null,
  place int not null check (place >= 0),
  name text not null,
  condition text not null check (condition in ('success', 'failure', 'retryable_failure', 'permanent_failure', 'always')),
  mode text not null check (mode in ('durable', 'fast', 'broadcast')),
  publisher text,
  schema jsonb,
  primary key (template_id, number, place));

-- The outbox. A row comes with the outcome that it tells of, in its transaction. A process that has the publisher makes the event
-- of it: then it is published, or its publisher declined, or it was refused (`problem` says why), and it has a `position`, which
-- never commits out of order: whoever has read up to one has missed nothing. Until then `owner` has it until `leased_until`.
create table tasker_engine.events (
  seq bigint generated always as identity primary key,
  event_id uuid not null unique,
  task_id uuid not null,
  number int not null,
  attempt int not null,
  template_id int not null,
  place int not null,
  name text not null,
  publisher text,
  mode text not null,
  outcome text not null check (outcome in ('success', 'retryable_failure', 'permanent_failure', 'resolved')),
  content jsonb,  -- the result of the step, or its error
  recorded_at timestamptz not null,
  status text not null default 'recorded' check (status in ('recorded', 'published', 'declined', 'refused')),
  position bigint unique,
  payload jsonb,
  metadata jsonb,
  problem text,
  tries int not null default 0,
  due_at timestamptz not null,
  owner uuid,
  leased_until timestamptz,
  settled_at timestamptz,
  check ((status = 'recorded') = (position is null)));
create index events_open on tasker_engine.events (seq) where position is null;
create index events_open_by_task on tasker_engine.events (task_id, seq) where position is null;
create index events_by_task on tasker_engine.events (task_id, position);
create sequence tasker_engine.event_positions cache 1;

create table tasker_engine.event_subscribers (
  name text primary key,
  patterns text[] not null,
  since timestamptz not null);

-- What is still to be handed to a subscriber. One that has failed too often stays, with what it failed of, and is passed over.
create table tasker_engine.event_deliveries (
  subscriber text not null,
  position bigint not null,
  task_id uuid not null,
  tries int not null default 0,
  due_at timestamptz not null,
  owner uuid,
  leased_until timestamptz,
  error text,
  failed_at timestamptz,
  primary key (subscriber, position));
create index event_deliveries_by_task on tasker_engine.event_deliveries (subscriber, task_id, position) where failed_at is null;
create index event_deliveries_by_position on tasker_engine.event_deliveries (position);

alter table tasker_engine.events set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
alter table tasker_engine.event_deliveries set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);

-- Up to which position the sweep has looked for events that are to go.
alter table tasker_engine.sweeps add column events_after bigint not null default 0;
