-- Copies that were handed over (R27). A row stays when its archive is gone.

create table footage_export (
    export_id text primary key,
    -- whose people made it: the archive lies in this agency's bucket
    agency_id text not null,
    owner_agency_id text not null,
    camera_id text not null,
    -- what the directory said of the camera when the export was ordered
    camera jsonb not null,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    state text not null check (state in ('waiting', 'running', 'ready', 'failed')),
    problem text not null default '',
    progress_percent integer not null default 0,
    reason text not null,
    purpose text not null,
    case_number text not null,
    agreement_id text not null,
    created_by text not null,
    created_by_name text not null,
    created_at timestamptz not null,
    finished_at timestamptz,
    sha256 text not null default '',
    size_bytes bigint not null default 0,
    segments integer not null default 0
);
select rtcc_protect('footage_export');
create index footage_export_newest on footage_export (agency_id, created_at desc);
create index footage_export_due on footage_export (created_at) where state in ('waiting', 'running');
