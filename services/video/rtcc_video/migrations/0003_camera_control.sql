-- Who moves a camera now: one person a camera, for a while. A row goes with its lease.

create table camera_control (
    camera_id text primary key,
    -- the camera's owner
    agency_id text not null,
    lease_id text not null unique,
    principal_id text not null,
    session_id text not null,
    holder_name text not null,
    purpose text not null,
    case_number text not null,
    since timestamptz not null,
    until timestamptz not null,
    -- whatever is done
    ends_at timestamptz not null,
    movements integer not null default 0
);
select rtcc_protect('camera_control');
create index camera_control_due on camera_control (until);
create index camera_control_session on camera_control (session_id);
