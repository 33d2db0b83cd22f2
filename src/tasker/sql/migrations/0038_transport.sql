-- Transports: by what work that waits is announced, beside the tables which hold it. Messages are pointers and never truth.
--
-- `direct`: nothing is written for it. `pgmq`: messages go into queues of PGMQ. `rabbitmq`: they go into `messages`, an outbox that
-- one publisher at a time drains. The functions in functions/transport make them, in the transaction of what they tell of.
create table tasker_engine.transport (
  only_row boolean primary key default true check (only_row),
  name text not null check (name in ('direct', 'pgmq', 'rabbitmq')),
  changed_at timestamptz not null);
insert into tasker_engine.transport (name, changed_at) values ('direct', 'epoch');

create table tasker_engine.messages (
  seq bigint generated always as identity primary key,
  kind text not null check (kind in ('step', 'event')),
  queue text not null,
  routing_key text not null,
  body jsonb not null,
  made_at timestamptz not null);
alter table tasker_engine.messages set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);

-- Who drains the outbox, and until when nobody else may.
create table tasker_engine.publisher (
  only_row boolean primary key default true check (only_row),
  owner uuid,
  leased_until timestamptz not null) with (fillfactor = 50);
insert into tasker_engine.publisher (leased_until) values ('epoch');
