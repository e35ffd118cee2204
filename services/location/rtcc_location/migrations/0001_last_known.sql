-- Where each unit was last: small and upserted, because the newest row of a history is expensive to find.
create table last_known (
    unit_id text primary key, agency_id text not null, latitude_e7 int not null, longitude_e7 int not null, heading_cdeg int not null,
    speed_cmps int not null, accuracy_dm bigint not null, fixed_at_us bigint not null, received_at_us bigint not null,
    panic boolean not null);
select rtcc_protect('last_known');

-- Up to which message of the stream POSITIONS the table is complete.
create table progress (
    name text primary key, agency_id text not null default '*', stream_sequence bigint not null, saved_at timestamptz not null default now());
select rtcc_protect('progress');
