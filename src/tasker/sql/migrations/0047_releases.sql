-- Which version of Tasker loaded the functions, and the oldest one whose processes work on them: while a new version is rolled
-- out, those of the version before go on, start anew, and leave the schema as it is.
alter table tasker_engine.functions_loaded
  add column version text not null default '',
  add column oldest text not null default '';
