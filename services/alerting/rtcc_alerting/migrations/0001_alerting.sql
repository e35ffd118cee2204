-- Alerts, the events that were handled, and the hot lists.

create table alert (
    alert_id text primary key,
    agency_id text not null,
    kind text not null,
    group_key text not null,
    state text not null,
    severity smallint not null,
    revision integer not null,
    raised_at timestamptz not null,
    -- rtcc.alerting.v1.Alert
    body bytea not null
);
select rtcc_protect('alert');
create index alert_open on alert (agency_id, severity, raised_at desc) where state <> 'closed';
create index alert_time on alert (agency_id, raised_at desc);
create index alert_group on alert (agency_id, group_key, raised_at desc);

-- An event that raised or joined an alert does so once. Rows are dropped when the stream has forgotten the event.
create table handled_event (
    event_id text primary key,
    agency_id text not null,
    group_key text not null,
    closes boolean not null,
    handled_at timestamptz not null default now()
);
select rtcc_protect('handled_event');
create index handled_event_closes on handled_event (agency_id, group_key) where closes;
create index handled_event_time on handled_event (handled_at);

create table hot_list (
    hot_list_id text primary key,
    agency_id text not null,
    name text not null,
    source text not null,
    severity smallint not null check (severity between 1 and 4),
    enabled boolean not null,
    stale_after_s integer not null,
    refreshed_at timestamptz not null,
    -- rises with every change of the list or its entries; each process compares it with what its index was made from
    revision bigint not null default 1,
    unique (agency_id, name)
);
select rtcc_protect('hot_list');

create table hot_list_entry (
    entry_number bigint generated always as identity primary key,
    entry_id text not null,
    hot_list_id text not null references hot_list on delete cascade,
    agency_id text not null,
    plate text not null,
    plate_key bigint not null,
    state text not null,
    reason text not null,
    entry_source text not null,
    entered_at timestamptz not null,
    expires_at timestamptz,
    -- added by a person; an import replaces only what an import brought
    custom boolean not null,
    unique (hot_list_id, entry_id)
);
select rtcc_protect('hot_list_entry');
create index hot_list_entry_index on hot_list_entry (hot_list_id, plate);

select rtcc_create_outbox();
