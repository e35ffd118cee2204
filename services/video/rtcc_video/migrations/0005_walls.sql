-- Many cameras on one screen, named and arranged once.

create table wall (
    wall_id text primary key,
    agency_id text not null,
    name text not null,
    tiles integer not null check (tiles in (1, 4, 9, 16)),
    -- [[cell, span, camera_id, follow_alerts], ...]
    slots jsonb not null,
    personal boolean not null,
    -- who made it: a personal one is nobody else's
    owner_id text not null,
    revision integer not null,
    changed_at timestamptz not null,
    changed_by text not null,
    changed_by_name text not null
);
select rtcc_protect('wall');
create index wall_by_agency on wall (agency_id);
