-- What is recorded: policies, segments by wall clock, gaps with reasons, holds, proofs of deletion (R22).

create table recording_policy (
    agency_id text not null,
    -- '': every camera of the agency without a policy of its own
    camera_id text not null,
    mode text not null check (mode in ('off', 'continuous', 'on_event')),
    keep_s bigint not null check (keep_s >= 180),
    pre_roll_s integer not null,
    post_roll_s integer not null,
    changed_at timestamptz not null,
    changed_by text not null,
    primary key (agency_id, camera_id)
);
select rtcc_protect('recording_policy');

create table footage_init (
    agency_id text not null,
    init_id text not null,
    codec text not null,
    width_px integer not null,
    height_px integer not null,
    body bytea not null,
    primary key (agency_id, init_id)
);
select rtcc_protect('footage_init');

create table footage_segment (
    segment_id text primary key,
    agency_id text not null,
    camera_id text not null,
    started_at timestamptz not null,
    ended_at timestamptz not null,
    -- the camera's own time of day at the start, where it told
    camera_started_at timestamptz,
    clock_difference_ms bigint not null,
    init_id text not null,
    object_key text not null,
    sha256 text not null,
    size_bytes integer not null,
    pictures integer not null,
    continues boolean not null,
    starts_with_key boolean not null
);
select rtcc_protect('footage_segment');
create index footage_segment_time on footage_segment (agency_id, camera_id, started_at);

create table footage_gap (
    gap_id text primary key,
    agency_id text not null,
    camera_id text not null,
    started_at timestamptz not null,
    -- null: it lasts
    ended_at timestamptz,
    kind text not null,
    reason text not null
);
select rtcc_protect('footage_gap');
create index footage_gap_time on footage_gap (agency_id, camera_id, started_at);
create index footage_gap_open on footage_gap (camera_id) where ended_at is null;

create table footage_hold (
    hold_id text primary key,
    agency_id text not null,
    reason text not null,
    camera_id text not null,
    starts_at timestamptz,
    ends_at timestamptz,
    placed_at timestamptz not null,
    placed_by text not null,
    released_at timestamptz,
    released_by text not null default ''
);
select rtcc_protect('footage_hold');
create index footage_hold_standing on footage_hold (agency_id) where released_at is null;

-- append only: nothing removes a proof
create table footage_deletion (
    deletion_id text primary key,
    agency_id text not null,
    camera_id text not null,
    keep_s bigint not null,
    deleted_at timestamptz not null,
    segments integer not null,
    size_bytes bigint not null,
    oldest_at timestamptz not null,
    newest_at timestamptz not null,
    leaves bytea not null,
    digest text not null
);
select rtcc_protect('footage_deletion');
create index footage_deletion_newest on footage_deletion (agency_id, deleted_at desc);
