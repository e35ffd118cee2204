-- Tracks with what was last known of them, where they were, and the stays of drones in zones.

create table track (
    track_id text primary key,
    agency_id text not null,
    key text not null,
    kind smallint not null,
    source_id text not null,
    serial_number text not null,
    -- rtcc.airspace.v1.TrackIdentity
    identity bytea not null,
    first_observed_us bigint not null,
    -- 0: nothing but late sightings
    observed_us bigint not null default 0,
    -- the columns of the newest sighting, in the order of rtcc_airspace.domain.observations
    numbers bigint[] not null default '{}',
    zone_ids text[] not null default '{}',
    ended boolean not null default false
);
select rtcc_protect('track');
create index track_time on track (agency_id, first_observed_us desc);
create index track_serial on track (agency_id, serial_number, first_observed_us desc) where serial_number <> '';
create index track_flying on track (observed_us) where not ended;

create table track_point (
    track_id text not null,
    agency_id text not null,
    observed_us bigint not null,
    latitude_e7 integer not null,
    longitude_e7 integer not null,
    altitude_dm integer not null,
    height_dm integer not null,
    heading_cdeg integer not null,
    speed_cmps integer not null,
    accuracy_dm bigint not null,
    primary key (track_id, observed_us)
);
select rtcc_protect('track_point');
create index track_point_time on track_point using brin (observed_us);

-- One row a stay of a drone in a zone. The alarm leaves with the row, so each stay is told once.
create table visit (
    visit_id text primary key,
    agency_id text not null,
    track_id text not null,
    zone_id text not null,
    entered_us bigint not null,
    left_at timestamptz
);
select rtcc_protect('visit');
create unique index visit_going_on on visit (track_id, zone_id) where left_at is null;

-- Up to which message of the stream TRACKS the tables are complete.
create table progress (
    name text primary key, agency_id text not null default '*', stream_sequence bigint not null, saved_at timestamptz not null default now());
select rtcc_protect('progress');

select rtcc_create_outbox();
