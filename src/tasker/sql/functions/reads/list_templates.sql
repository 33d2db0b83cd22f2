-- list_templates: published templates, each with its newest revision of each version, newest version first; with
-- _is_newest only one version each. Null filters nothing.
create or replace function tasker_engine.list_templates(
  _namespace text default null, _name text default null, _is_newest boolean default false)
returns table (
  template_id int, namespace text, name text, version text, revision int, step_count int, identity_strategy text,
  digest text, published_at timestamptz)
language plpgsql stable as $$
#variable_conflict use_column
begin
  return query
  select v.template_id, v.namespace, v.name, v.version, v.revision, v.step_count, v.identity_strategy, v.digest, v.published_at
  from (
    select t.*, n.name as namespace,
      row_number() over (partition by t.namespace_id, t.name order by t.version_order desc, t.template_id desc) as age,
      row_number() over (partition by t.namespace_id, t.name, t.version order by t.revision desc) as revision_age
    from tasker_engine.templates t join tasker_engine.namespaces n on n.namespace_id = t.namespace_id
    where (_namespace is null or n.name = _namespace) and (_name is null or t.name = _name)) v
  where v.revision_age = 1 and (v.age = 1 or not _is_newest)
  order by v.namespace, v.name, v.version_order desc, v.template_id desc;
end $$;

-- read_template: the definition of the newest revision of a version, or of the newest version where none is named.
create or replace function tasker_engine.read_template(_namespace text, _name text, _version text default null)
returns table (
  template_id int, namespace text, name text, version text, revision int, published_at timestamptz, definition jsonb)
language plpgsql stable as $$
begin
  return query
  select t.template_id, _namespace, t.name, t.version, t.revision, t.published_at, t.definition
  from tasker_engine.templates t where t.template_id = (tasker_engine.find_template(_namespace, _name, _version)).template_id;
end $$;
