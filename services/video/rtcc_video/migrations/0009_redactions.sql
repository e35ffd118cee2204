-- A redacted copy is an export of its own (R28): of which one, and what can't be seen in it.

alter table footage_export add column original_export_id text not null default '';
alter table footage_export add column redaction jsonb;
