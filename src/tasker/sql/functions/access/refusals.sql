-- Refused calls: noted by servers in batches, bounded, and read by operators.

-- note_refusals: adds to the counts of these refusals, one array element each; ages are seconds before now. Of refusals of
-- known callers and of others each the newest _kept_max rows are kept, for _kept_days: whoever floods the one kind pushes
-- nothing of the other out. Answers how many rows were dropped. Rows are written in one order, so that servers never wait in a
-- circle.
create or replace function tasker_engine.note_refusals(
  _reasons text[], _faces text[], _whats text[], _whos text[], _addresses text[], _are_proven boolean[], _permissions text[],
  _namespaces text[], _times bigint[], _first_ages_s float8[], _last_ages_s float8[], _kept_max int, _kept_days float8,
  _now timestamptz default null) returns int language plpgsql as $$
declare
  dropped int;
begin
  _now := tasker_engine.clock(_now);
  insert into tasker_engine.refusals as r
    (hour, reason, face, what, who, address, is_proven, permission, namespace, times, first_at, last_at)
  select date_trunc('hour', _now - make_interval(secs => n.last_age_s), 'UTC'), n.reason, n.face, left(n.what, 100), left(n.who, 400),
    left(n.address, 100), bool_or(n.is_proven), max(n.permission), left(max(n.namespace), 300), sum(n.times),
    _now - make_interval(secs => max(n.first_age_s)), _now - make_interval(secs => min(n.last_age_s))
  from unnest(_reasons, _faces, _whats, _whos, _addresses, _are_proven, _permissions, _namespaces, _times, _first_ages_s, _last_ages_s)
    as n(reason, face, what, who, address, is_proven, permission, namespace, times, first_age_s, last_age_s)
  group by 1, 2, 3, 4, 5, 6
  order by 1, 2, 3, 4, 5, 6
  on conflict (hour, reason, face, what, who, address) do update set
    times = r.times + excluded.times, permission = coalesce(excluded.permission, r.permission),
    namespace = coalesce(excluded.namespace, r.namespace), first_at = least(r.first_at, excluded.first_at),
    last_at = greatest(r.last_at, excluded.last_at);
  delete from tasker_engine.refusals where ctid = any (array(
    select r.ctid from tasker_engine.refusals r
    join (
      select o.ctid as place, row_number() over (partition by o.is_proven order by o.last_at desc, o.hour desc) as nth
      from tasker_engine.refusals o) ranked on ranked.place = r.ctid
    where ranked.nth > _kept_max or r.last_at < _now - make_interval(secs => _kept_days * 86400)
    for update of r skip locked));
  get diagnostics dropped = row_count;
  return dropped;
end $$;

-- read_refusals: the first page of them; see list_refusals.
create or replace function tasker_engine.read_refusals(
  _age_s float8, _who text, _reason text, _limit int, _now timestamptz default null)
returns table (
  reason text, face text, what text, who text, address text, is_proven boolean, permission text, namespace text, times bigint,
  first_at timestamptz, last_at timestamptz) language sql stable as $$
  select * from tasker_engine.list_refusals(_age_s, _who, _reason, _limit, 0, _now)
$$;

-- list_refusals: refusals of the last _age_s seconds, newest first; of one caller, or one reason, where they are given. A page is
-- what lies behind the first _offset of them: while calls are refused, a row may move up and be seen twice.
create or replace function tasker_engine.list_refusals(
  _age_s float8, _who text, _reason text, _limit int, _offset int, _now timestamptz default null)
returns table (
  reason text, face text, what text, who text, address text, is_proven boolean, permission text, namespace text, times bigint,
  first_at timestamptz, last_at timestamptz) language plpgsql stable as $$
#variable_conflict use_column
begin
  _now := tasker_engine.clock(_now);
  return query
  select r.reason, r.face, r.what, r.who, r.address, r.is_proven, r.permission, r.namespace, r.times, r.first_at, r.last_at
  from tasker_engine.refusals r
  where r.last_at >= _now - make_interval(secs => _age_s)
    and (_who is null or strpos(r.who, _who) > 0) and (_reason is null or r.reason = _reason)
  order by r.last_at desc, r.hour desc, r.who, r.what, r.reason, r.face, r.address limit _limit offset _offset;
end $$;
