-- declare_fields: notes which fields of their input the tasks of a template are found by (dotted paths, eight at most).
create or replace function tasker_engine.declare_fields(_template_id int, _paths jsonb) returns void language plpgsql as $$
declare
  paths text[] := array(select p.path from jsonb_array_elements_text(_paths) with ordinality as p(path, place) order by p.place);
begin
  if cardinality(paths) > 8 then
    raise exception 'a template declares at most 8 search fields, not %', cardinality(paths) using errcode = 'TK008';
  end if;
  insert into tasker_engine.fields (path, keys)
  select p, string_to_array(p, '.') from unnest(paths) p order by p on conflict (path) do nothing;
  insert into tasker_engine.template_fields (template_id, field_id, keys)
  select _template_id, f.field_id, f.keys from tasker_engine.fields f where f.path = any (paths);
end $$;
