-- sweep_breakers: what breakers do by themselves in time. Signals that nobody has counted are; probes that run no longer (their
-- worker was lost, their task cancelled) leave their place to others; an open breaker whose time is over lets probes through.
-- Answers how many moved, and how many places became free.
create or replace function tasker_engine.sweep_breakers(_now timestamptz) returns int language plpgsql as $$
declare
  moved int := 0;
  breaker tasker_engine.breakers;
  after tasker_engine.breakers;
  told int;
begin
  for told in select distinct g.breaker_id from tasker_engine.breaker_signals g where g.breaker_id > 0 order by g.breaker_id loop
    moved := moved + tasker_engine.count_signals(told, _now)::int;
  end loop;
  moved := moved + (
    select coalesce(sum(tasker_engine.forget_probes(b.breaker_id, false)), 0)
    from tasker_engine.breakers b where b.state <> 'closed');
  for breaker in
    select b.* from tasker_engine.breakers b
    where b.state <> 'closed' and b.open_until <= _now order by b.breaker_id for no key update skip locked
  loop
    after := breaker;
    after.state := 'half_open';
    after.open_until := null;
    after.successes := 0;
    perform tasker_engine.move_breaker(breaker, after, _now);
    moved := moved + 1;
  end loop;
  return moved;
end $$;
