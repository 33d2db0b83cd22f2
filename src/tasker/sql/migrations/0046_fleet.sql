-- The fleet: queues that operators have paused, what they want of workers, and what workers say of themselves.
--
-- A pause is of a namespace; `queue` and `handler` null: of every one. The rows that have ended are its history.
create table tasker_engine.pauses (
  pause_id int generated always as identity primary key,
  namespace_id int not null references tasker_engine.namespaces,
  queue text,
  handler text,
  actor text not null,
  reason text,
  since timestamptz not null,
  until timestamptz,
  ended_at timestamptz,
  ended_by text,
  end_reason text);
create unique index pauses_in_force on tasker_engine.pauses (namespace_id, coalesce(queue, ''), coalesce(handler, ''))
  where ended_at is null;

-- What operators did to queues and workers. `act_id` makes a repeat answer the same.
create table tasker_engine.fleet_acts (
  act_id uuid primary key,
  action text not null,
  namespace_id int,
  session_id int,
  actor text not null,
  reason text,
  at timestamptz not null,
  answer jsonb not null);

-- `wanted` is what an operator wants of the session: it is handed nothing more, and a drained one ends when it is done.
alter table tasker_engine.sessions add column wanted text check (wanted in ('paused', 'drained'));

-- Beside the hot row: who wanted it, and the worker's own words: its version, and its handlers with theirs.
create table tasker_engine.session_notes (
  session_id int primary key references tasker_engine.sessions on delete cascade,
  version text not null default '',
  handlers text[] not null default '{}',
  versions text[] not null default '{}',
  wanted_by text,
  wanted_reason text,
  wanted_at timestamptz);

alter table tasker_engine.pauses enable row level security;
create policy confined on tasker_engine.pauses using (
  (select not tasker_engine.is_confined()) or namespace_id = any ((select tasker_engine.reached_namespaces())::int[])) with check (true);
alter table tasker_engine.fleet_acts enable row level security;
create policy confined on tasker_engine.fleet_acts using (
  (select not tasker_engine.is_confined()) or namespace_id = any ((select tasker_engine.reached_namespaces())::int[])) with check (true);
alter table tasker_engine.session_notes enable row level security;
create policy confined on tasker_engine.session_notes using ((select not tasker_engine.is_confined())) with check (true);
