-- The archive of everything that happened, and what waits for an operator.

create table event (
    event_id text primary key,
    agency_id text not null,
    source_id text not null,
    kind text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    latitude_deg double precision,
    longitude_deg double precision,
    -- byte order, so that a range on the known prefix is an index range; LIKE itself can't use an index under row-level security
    plate text collate "C",
    camera_id text,
    call_id text,
    body bytea not null
);
select rtcc_protect('event');
create index event_plate on event (agency_id, plate, occurred_at desc) where plate is not null;
create index event_call on event (agency_id, call_id, occurred_at desc) where call_id is not null;
create index event_time on event (agency_id, kind, occurred_at desc);

create table quarantine (
    quarantine_id text primary key,
    agency_id text not null,
    source_id text not null,
    service text not null,
    received_at timestamptz not null,
    reason text not null,
    place text not null,
    body bytea not null,
    status text not null default 'waiting' check (status in ('waiting', 'replayed', 'discarded')),
    attempts integer not null default 0,
    delivery_id text not null default '',
    subject text not null default '',
    headers jsonb not null default '{}',
    event_id text not null default '',
    decided_by text not null default '',
    decided_at timestamptz,
    decided_reason text not null default ''
);
select rtcc_protect('quarantine');
create index quarantine_list on quarantine (agency_id, status, received_at desc);
create index quarantine_waiting on quarantine (agency_id, source_id) where status = 'waiting';
