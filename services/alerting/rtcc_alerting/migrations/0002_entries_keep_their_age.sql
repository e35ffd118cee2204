-- A refresh keeps the entries that are still in the file, so that an entry's age is the time since it was first listed (R24).
alter table hot_list_entry add column refreshed_at timestamptz not null default now();
