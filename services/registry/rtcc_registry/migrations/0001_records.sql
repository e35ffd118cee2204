-- Each table holds the contract's message as `record` (protobuf, whose own rules keep old rows readable) beside the columns that
-- PostgreSQL must know to keep ids, names and agencies apart. `secret` is never part of a record and never leaves in an answer.

create table agency (
    id text primary key, agency_id text not null, natural_key text not null unique, secret text not null default '', record bytea not null,
    changed_at timestamptz not null default now());
select rtcc_protect('agency');

create table person (
    id text primary key, agency_id text not null references agency (id), natural_key text not null unique,
    secret text not null default '', record bytea not null, changed_at timestamptz not null default now(),
    -- set for an enabled temporary account
    ends_at timestamptz);
create index person_of_agency on person (agency_id);
create index person_ends on person (ends_at) where ends_at is not null;
select rtcc_protect('person');

create table camera (
    id text primary key, agency_id text not null references agency (id), natural_key text not null unique,
    secret text not null default '', record bytea not null, changed_at timestamptz not null default now());
create index camera_of_agency on camera (agency_id);
select rtcc_protect('camera');

create table zone (
    id text primary key, agency_id text not null references agency (id), natural_key text not null unique,
    secret text not null default '', record bytea not null, changed_at timestamptz not null default now());
create index zone_of_agency on zone (agency_id);
select rtcc_protect('zone');

create table source (
    id text primary key, agency_id text not null references agency (id), natural_key text not null unique,
    secret text not null default '', record bytea not null, changed_at timestamptz not null default now());
create index source_of_agency on source (agency_id);
select rtcc_protect('source');

create table unit (
    id text primary key, agency_id text not null references agency (id), natural_key text not null unique,
    secret text not null default '', record bytea not null, changed_at timestamptz not null default now());
create index unit_of_agency on unit (agency_id);
select rtcc_protect('unit');

-- agency_id is the grantor
create table agreement (
    id text primary key, agency_id text not null references agency (id), grantee_agency_id text not null references agency (id),
    natural_key text not null unique, secret text not null default '', record bytea not null,
    changed_at timestamptz not null default now());
create index agreement_of_grantor on agreement (agency_id);
create index agreement_of_grantee on agreement (grantee_agency_id);
select rtcc_protect('agreement', 'agency_id', 'grantee_agency_id');

-- R31: every change of a sharing setting, append only
create table agreement_change (
    agreement_id text not null references agreement (id), revision int not null, agency_id text not null, grantee_agency_id text not null,
    changed_at timestamptz not null, changed_by text not null, old_value bytea, new_value bytea not null,
    primary key (agreement_id, revision));
select rtcc_protect('agreement_change', 'agency_id', 'grantee_agency_id');

select rtcc_create_outbox();
