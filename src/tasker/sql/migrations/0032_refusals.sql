-- Refused calls: who was told no, by the hour. A row for each kind of refusal and hour, with a count: a caller who hammers at
-- the door writes one row, and what is kept is bounded (functions/access/refusals.sql).
--
-- `who` of a caller who was known (`is_proven`) is its name; else the id of the API key that it named, or nothing. It says
-- what was asked for, never what was sent. Refusals are the installation's: no confined caller reads them.
create table tasker_engine.refusals (
  hour timestamptz not null,
  reason text not null,
  face text not null,
  what text not null,
  who text not null,
  address text not null,
  is_proven boolean not null,
  permission text,
  namespace text,
  times bigint not null check (times > 0),
  first_at timestamptz not null,
  last_at timestamptz not null,
  primary key (hour, reason, face, what, who, address)) with (fillfactor = 70);

alter table tasker_engine.refusals enable row level security;
create policy confined on tasker_engine.refusals using ((select not tasker_engine.is_confined())) with check (true);
