-- The newest state of each thing that events are about (an alarm, a warning, a marker, a sensor's quantity), so that the map needs no
-- search through the archive; and what intake knows about a source beyond the registry: its mapping, its feed, its certificate.

create table thing (
    agency_id text not null,
    kind text not null,
    thing_id text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null,
    -- nothing to show any more: restored, cancelled, removed
    over boolean not null,
    -- worth nothing afterwards
    ends_at timestamptz,
    body bytea not null,
    primary key (agency_id, kind, thing_id)
);
select rtcc_protect('thing');
create index thing_newest on thing (agency_id, occurred_at desc) where not over;
create index thing_old on thing (occurred_at);

-- "<sender>,<identifier>" of a CAP message -> its warning, for the updates that refer to it
create table warning_message (
    agency_id text not null,
    message_id text not null,
    warning_id text not null,
    sent_at timestamptz not null,
    primary key (agency_id, message_id)
);
select rtcc_protect('warning_message');

create table source_mapping (
    source_id text primary key,
    agency_id text not null,
    revision integer not null,
    mapping jsonb not null,
    changed_at timestamptz not null,
    changed_by text not null
);
select rtcc_protect('source_mapping');

create table source_recording (
    source_id text primary key,
    agency_id text not null,
    remaining integer not null,
    started_at timestamptz not null
);
select rtcc_protect('source_recording');

create table recorded_delivery (
    source_id text not null,
    agency_id text not null,
    delivery_id text not null,
    received_at timestamptz not null,
    body bytea not null,
    primary key (source_id, delivery_id)
);
select rtcc_protect('recorded_delivery');

create table source_feed (
    source_id text primary key,
    agency_id text not null,
    url text not null,
    every_s integer not null,
    header_name text not null default '',
    header_value text not null default '',
    next_at timestamptz not null,
    fetched_at timestamptz,
    problem text not null default '',
    vehicles integer not null default 0
);
select rtcc_protect('source_feed');
create index source_feed_due on source_feed (next_at);

create table source_certificate (
    source_id text primary key,
    agency_id text not null,
    fingerprint_sha256 text not null unique,
    certificate text not null,
    valid_until timestamptz not null
);
select rtcc_protect('source_certificate');
