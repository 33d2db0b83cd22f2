-- bare: the least engine that still gives what the real one must, to measure the real one against on the same server.
--
-- It fences outcomes by attempt, holds a lease for each running step, locks tasks in order before their steps, hands out
-- the results of all steps before, hands freed successors to the worker that freed them, and keeps a full history, every
-- turn in one durable transaction. It has no retries, no sweep, no queues, no priorities, no operators and no mercy.
--
-- A step's state: w waits for parents, r is ready, a is active, d is done.

drop schema if exists tasker_bare cascade;
create schema tasker_bare;

create table tasker_bare.plans (
  number int primary key,
  name text not null,
  parent_count int not null,
  children int[] not null,
  ancestors int[] not null);

create table tasker_bare.tasks (
  task_id uuid primary key,
  open int not null,
  created_at timestamptz not null,
  finished_at timestamptz) with (fillfactor = 80);

create table tasker_bare.contexts (task_id uuid primary key, context jsonb not null);

create table tasker_bare.steps (
  task_id uuid not null,
  number int not null,
  state "char" not null,
  waiting int not null,
  attempt int not null default 0,
  worker int,
  started_at timestamptz,
  finished_at timestamptz,
  result jsonb,
  primary key (task_id, number)) with (fillfactor = 60);

create table tasker_bare.ready (
  place bigint generated always as identity primary key,
  task_id uuid not null,
  number int not null);

create table tasker_bare.leases (
  task_id uuid not null,
  number int not null,
  worker int not null,
  attempt int not null,
  ends_at timestamptz not null,
  primary key (task_id, number));

create table tasker_bare.history (
  task_id uuid not null,
  number int not null,
  from_state "char",
  to_state "char" not null,
  attempt int not null,
  at timestamptz not null);
create index history_by_task on tasker_bare.history (task_id);

alter table tasker_bare.ready set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);
alter table tasker_bare.leases set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_cost_delay = 0);

-- submit: creates tasks, one for each id and context, of the one plan there is.
create function tasker_bare.submit(_task_ids uuid[], _contexts jsonb[]) returns void language plpgsql as $$
declare
  began timestamptz := clock_timestamp();
begin
  insert into tasker_bare.tasks (task_id, open, created_at)
  select id, (select count(*) from tasker_bare.plans), began from unnest(_task_ids) id;
  insert into tasker_bare.contexts select * from unnest(_task_ids, _contexts);
  insert into tasker_bare.steps (task_id, number, state, waiting)
  select id, p.number, case p.parent_count when 0 then 'r' else 'w' end, p.parent_count
  from unnest(_task_ids) id, tasker_bare.plans p;
  insert into tasker_bare.history
  select id, p.number, null, case p.parent_count when 0 then 'r' else 'w' end, 0, began
  from unnest(_task_ids) id, tasker_bare.plans p;
  insert into tasker_bare.ready (task_id, number)
  select id, p.number from unnest(_task_ids) id, tasker_bare.plans p where p.parent_count = 0;
end $$;

-- report: records results whose fence holds, and starts on this worker the steps that they free. Answers those.
create function tasker_bare.report(
  _worker int, _task_ids uuid[], _numbers int[], _attempts int[], _results jsonb[], _now timestamptz,
  out task_ids uuid[], out numbers int[], out attempts int[]) language plpgsql as $$
begin
  perform from tasker_bare.tasks t where t.task_id = any (_task_ids) order by t.task_id for update;
  with done as (
    update tasker_bare.steps s set state = 'd', result = o.result, finished_at = _now
    from unnest(_task_ids, _numbers, _attempts, _results) as o(task_id, number, attempt, result)
    where s.task_id = o.task_id and s.number = o.number and s.state = 'a' and s.attempt = o.attempt and s.worker = _worker
    returning s.task_id, s.number, s.attempt),
  ended as (
    delete from tasker_bare.leases l using done d where l.task_id = d.task_id and l.number = d.number),
  satisfied as (
    select d.task_id, c.number, count(*)::int as parents
    from done d join tasker_bare.plans p on p.number = d.number cross join lateral unnest(p.children) as c(number)
    group by d.task_id, c.number),
  moved as (
    update tasker_bare.steps s
    set waiting = s.waiting - f.parents, state = case when s.waiting = f.parents then 'a' else s.state end,
      attempt = s.attempt + (s.waiting = f.parents)::int, worker = _worker, started_at = _now
    from satisfied f where s.task_id = f.task_id and s.number = f.number
    returning s.task_id, s.number, s.attempt, s.state),
  begun as (
    insert into tasker_bare.leases
    select task_id, number, _worker, attempt, _now + interval '30 s' from moved where state = 'a'),
  counted as (
    update tasker_bare.tasks t
    set open = t.open - d.steps, finished_at = case when t.open = d.steps then _now end
    from (select task_id, count(*)::int as steps from done group by task_id) d where t.task_id = d.task_id),
  noted as (
    insert into tasker_bare.history
    select task_id, number, 'a', 'd', attempt, _now from done
    union all
    select task_id, number, 'w', 'a', attempt, _now from moved where state = 'a')
  select array_agg(m.task_id), array_agg(m.number), array_agg(m.attempt) into task_ids, numbers, attempts
  from moved m where m.state = 'a';
end $$;

-- claim: starts up to _room ready steps on this worker.
create function tasker_bare.claim(
  _worker int, _room int, _now timestamptz, out task_ids uuid[], out numbers int[], out attempts int[])
language plpgsql as $$
begin
  with taken as (
    delete from tasker_bare.ready r
    using (select place from tasker_bare.ready order by place for update skip locked limit _room) head
    where r.place = head.place
    returning r.task_id, r.number),
  moved as (
    update tasker_bare.steps s set state = 'a', attempt = s.attempt + 1, worker = _worker, started_at = _now
    from taken t where s.task_id = t.task_id and s.number = t.number and s.state = 'r'
    returning s.task_id, s.number, s.attempt),
  begun as (
    insert into tasker_bare.leases select task_id, number, _worker, attempt, _now + interval '30 s' from moved),
  noted as (
    insert into tasker_bare.history select task_id, number, 'r', 'a', attempt, _now from moved)
  select array_agg(m.task_id), array_agg(m.number), array_agg(m.attempt) into task_ids, numbers, attempts from moved m;
end $$;

-- grants: what handlers need to run these steps: the task's context, and the results of all steps before.
create function tasker_bare.grants(_task_ids uuid[], _numbers int[], _attempts int[])
returns table (task_id uuid, number int, attempt int, name text, context jsonb, results jsonb) language sql stable as $$
  select g.task_id, g.number, g.attempt, p.name, c.context, (
    select jsonb_object_agg(s.number, s.result) from tasker_bare.steps s
    where s.task_id = g.task_id and s.number = any (p.ancestors) and s.state = 'd')
  from unnest(_task_ids, _numbers, _attempts) as g(task_id, number, attempt)
  join tasker_bare.plans p on p.number = g.number
  join tasker_bare.contexts c on c.task_id = g.task_id
$$;

-- turn: report and claim in one round trip.
create function tasker_bare.turn(
  _worker int, _task_ids uuid[], _numbers int[], _attempts int[], _results jsonb[], _room int)
returns table (task_id uuid, number int, attempt int, name text, context jsonb, results jsonb) language plpgsql as $$
declare
  at timestamptz := clock_timestamp();
  freed record;
  claimed record;
  room int := _room;
begin
  if cardinality(_task_ids) > 0 then
    select * into freed from tasker_bare.report(_worker, _task_ids, _numbers, _attempts, _results, at);
    return query select * from tasker_bare.grants(freed.task_ids, freed.numbers, freed.attempts);
    room := room - coalesce(cardinality(freed.task_ids), 0);
  end if;
  if room > 0 then
    select * into claimed from tasker_bare.claim(_worker, room, at);
    return query select * from tasker_bare.grants(claimed.task_ids, claimed.numbers, claimed.attempts);
  end if;
end $$;
