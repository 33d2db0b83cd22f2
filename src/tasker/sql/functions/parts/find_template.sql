-- find_template: the newest revision of a version, or of the newest version where none is named.
create or replace function tasker_engine.find_template(_namespace text, _name text, _version text)
returns tasker_engine.templates language plpgsql stable as $$
declare found_one tasker_engine.templates;
begin
  select t.* into found_one
  from tasker_engine.templates t join tasker_engine.namespaces n using (namespace_id)
  where n.name = _namespace and t.name = _name and (_version is null or t.version = _version)
  order by t.version_order desc, t.template_id desc
  limit 1;
  if not found then
    raise exception 'no template %/%@% is published', _namespace, _name, coalesce(_version, 'latest') using errcode = 'TK003',
      hint = 'publish it with `tasker template publish`, or see `tasker template list`';
  end if;
  return found_one;
end $$;
