-- R22: how long the archive keeps what is data; each deletion leaves a proof.

-- where the event stands in the stream and which picture belongs to it: both go with it
alter table event add column stream_sequence bigint, add column image_object text;
create index event_received on event (agency_id, received_at);
create index event_image on event (agency_id, image_object) where image_object is not null;

create table retention_rule (
    agency_id text not null,
    source_id text not null,
    kind text not null,
    keep_s bigint not null check (keep_s >= 180),
    changed_at timestamptz not null,
    changed_by text not null,
    primary key (agency_id, source_id, kind)
);
select rtcc_protect('retention_rule');

create table retention_hold (
    hold_id text primary key,
    agency_id text not null,
    reason text not null,
    source_id text not null,
    kind text not null,
    plate text not null,
    occurred_from timestamptz,
    occurred_until timestamptz,
    placed_at timestamptz not null,
    placed_by text not null,
    released_at timestamptz,
    released_by text not null default ''
);
select rtcc_protect('retention_hold');
create index retention_hold_standing on retention_hold (agency_id) where released_at is null;

-- append only: neither the rule's end nor anything else removes a proof
create table retention_deletion (
    deletion_id text primary key,
    agency_id text not null,
    source_id text not null,
    kind text not null,
    keep_s bigint not null,
    deleted_at timestamptz not null,
    events integer not null,
    oldest_received_at timestamptz not null,
    newest_received_at timestamptz not null,
    leaves bytea not null,
    digest text not null
);
select rtcc_protect('retention_deletion');
create index retention_deletion_newest on retention_deletion (agency_id, deleted_at desc);
