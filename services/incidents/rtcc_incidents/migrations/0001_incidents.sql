-- Incidents, their timeline, floor plans, and the public's tips.

create table incident_number (agency_id text not null, year integer not null, newest integer not null, primary key (agency_id, year));
select rtcc_protect('incident_number');

create table incident (
    incident_id text primary key,
    agency_id text not null,
    number text not null,
    state text not null,
    priority smallint not null,
    occurred_at timestamptz not null,
    latitude double precision,
    longitude double precision,
    -- domain/places.py: equal for the ways in which one building is written
    address_key text not null,
    -- fields that a person decided about
    held text[] not null,
    -- the newest call update applied
    call_at timestamptz,
    revision integer not null,
    -- rtcc.incidents.v1.Incident
    body bytea not null,
    unique (agency_id, number)
);
select rtcc_protect('incident');
create index incident_open on incident (agency_id, priority, occurred_at desc) where state = 'open';
create index incident_time on incident (agency_id, occurred_at desc);
create index incident_address on incident (agency_id, address_key) where address_key <> '';
create index incident_place on incident (agency_id, latitude);

-- Which call made which incident.
create table incident_call (
    agency_id text not null, call_id text not null, incident_id text not null references incident, primary key (agency_id, call_id));
select rtcc_protect('incident_call');

-- A unit works on one incident at a time: the row is there while it does.
create table unit_work (unit_id text primary key, agency_id text not null, incident_id text not null references incident);
select rtcc_protect('unit_work');
create index unit_work_incident on unit_work (incident_id);

create table timeline_entry (
    entry_id text primary key,
    agency_id text not null,
    incident_id text not null references incident,
    sequence integer not null,
    corrects text,
    -- rtcc.incidents.v1.TimelineEntry
    body bytea not null,
    unique (incident_id, sequence)
);
select rtcc_protect('timeline_entry');
create unique index timeline_entry_corrects on timeline_entry (corrects) where corrects is not null;

create function timeline_is_written_once() returns trigger language plpgsql as $$
begin
    raise exception 'timeline entries are written once: correct one by a new entry';
end $$;
create trigger timeline_entry_written_once before update or delete on timeline_entry
    for each row execute function timeline_is_written_once();

-- Where the pictures of the timeline are.
create table incident_photo (
    photo_id text primary key, agency_id text not null, incident_id text not null references incident, object_key text not null);
select rtcc_protect('incident_photo');

-- Alerts of the last weeks: what may be attached, and what was.
create table known_alert (
    alert_id text primary key,
    agency_id text not null,
    occurred_at timestamptz not null,
    latitude double precision,
    longitude double precision,
    incident_id text references incident,
    -- the entry with which it joined
    entry_id text not null default '',
    -- a person took it off an incident: it is not attached by itself again
    detached boolean not null default false,
    -- rtcc.incidents.v1.AlertReference
    body bytea not null
);
select rtcc_protect('known_alert');
create index known_alert_time on known_alert (agency_id, occurred_at);

create table floor_plan (
    floor_plan_id text primary key,
    agency_id text not null,
    object_key text not null,
    revision integer not null,
    -- rtcc.incidents.v1.FloorPlan
    body bytea not null
);
select rtcc_protect('floor_plan');
create index floor_plan_agency on floor_plan (agency_id);

create table tip (
    tip_id text primary key,
    agency_id text not null,
    state text not null,
    group_id text not null,
    incident_id text references incident,
    received_at timestamptz not null,
    photo_object text not null,
    -- rtcc.incidents.v1.PhotoReference
    photo bytea,
    revision integer not null,
    -- rtcc.incidents.v1.Tip
    body bytea not null
);
select rtcc_protect('tip');
create index tip_time on tip (agency_id, received_at desc);
create index tip_group on tip (agency_id, group_id);

-- Who sent how much in the last hour: a keyed hash that changes every day, nothing else; rows go after two hours.
create table tip_sender (agency_id text not null, sender_hash text not null, sent_at timestamptz not null);
select rtcc_protect('tip_sender');
create index tip_sender_time on tip_sender (agency_id, sent_at);

create table tip_line (agency_id text primary key, body bytea not null);
select rtcc_protect('tip_line');

select rtcc_create_outbox();
