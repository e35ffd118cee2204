-- Persons, vehicles, warrants, arrests, prior calls: the whole record as protobuf, beside it what PostgreSQL must know to find it.

create table record (
    record_number bigint generated always as identity primary key,
    record_id text not null unique,
    agency_id text not null,
    kind text not null check (kind in ('person', 'vehicle', 'warrant', 'arrest', 'prior_call')),
    source text not null,
    source_key text not null,
    -- the import that last held it; what a full refresh no longer holds is removed
    import_id text not null default '',
    -- vehicles
    plate text,
    vin text,
    -- warrants: still to be served
    active boolean not null default false,
    -- arrests, prior calls
    occurred_at timestamptz,
    photo_object text not null default '',
    -- of the content: an import that brings the same again changes nothing
    digest bytea not null,
    changed_at timestamptz not null,
    -- rtcc.identity.v1.Record
    body bytea not null
);
select rtcc_protect('record');
create index record_source on record (agency_id, kind, source, import_id);
create index record_plate on record (agency_id, plate) where plate is not null;
create index record_vin on record (agency_id, vin) where vin is not null;

-- Whom a vehicle, warrant, arrest or prior call is about. No foreign key: an extract of warrants may come before that of persons.
create table record_person (
    record_number bigint not null references record on delete cascade,
    agency_id text not null,
    person_record_id text not null,
    kind text not null,
    primary key (record_number, person_record_id)
);
select rtcc_protect('record_person');
create index record_person_of on record_person (person_record_id, kind);

create table record_phone (
    record_number bigint not null references record on delete cascade,
    agency_id text not null,
    phone text not null,
    primary key (record_number, phone)
);
select rtcc_protect('record_phone');
create index record_phone_of on record_phone (agency_id, phone);

create table record_place (
    record_number bigint not null references record on delete cascade,
    agency_id text not null,
    position smallint not null,
    kind text not null,
    tie text not null,
    street text not null,
    locality text not null,
    cell bigint,
    latitude_deg double precision,
    longitude_deg double precision,
    primary key (record_number, position)
);
select rtcc_protect('record_place');
create index record_place_street on record_place (agency_id, street) where street <> '';
create index record_place_cell on record_place (agency_id, cell) where cell is not null;

-- The search index of persons: hashed keys, and what candidates are ordered by (rtcc_identity/domain/keys.py).
create table person_index (
    record_number bigint primary key references record on delete cascade,
    agency_id text not null,
    index_version smallint not null,
    keys integer[] not null,
    surname integer not null,
    given integer not null,
    formal integer not null,
    has_aliases boolean not null,
    -- yyyymmdd; 0: unknown
    birth integer not null,
    -- folded: "john paul|smith;johnny|smith"
    names text not null
);
select rtcc_protect('person_index');
-- No pending list: it would have to be read by each search until a vacuum.
create index person_index_keys on person_index using gin (keys) with (fastupdate = off);

-- Another agency's records under a sharing agreement. The store names the grantors of this moment; what of a record leaves is cut after.
create policy shared_read on record for select
    using (kind in ('person', 'vehicle', 'warrant') and agency_id = any (string_to_array(current_setting('rtcc.shared_agencies', true), ',')));
create policy shared_read on record_person for select
    using (kind in ('vehicle', 'warrant') and agency_id = any (string_to_array(current_setting('rtcc.shared_agencies', true), ',')));
create policy shared_read on record_phone for select
    using (agency_id = any (string_to_array(current_setting('rtcc.shared_agencies', true), ',')));
create policy shared_read on record_place for select
    using (kind in ('person', 'vehicle') and agency_id = any (string_to_array(current_setting('rtcc.shared_agencies', true), ',')));
create policy shared_read on person_index for select
    using (agency_id = any (string_to_array(current_setting('rtcc.shared_agencies', true), ',')));

-- `&&` isn't leakproof, so under a row-level policy PostgreSQL must not use the index for it: each search would read the whole table.
-- A function looks instead, in the name of a role that sees every row of this one table and can do nothing else. It takes the agencies
-- that may be seen from the same settings as the policies, never from an argument, and a test holds it against the policies.
do $$
declare
    owner text := current_user;
    searcher text := owner || '_search';
begin
    if not exists (select from pg_roles where rolname = searcher) then
        begin
            execute format('create role %I nologin', searcher);
        exception when insufficient_privilege then
            raise exception 'The role % is missing and % may not create it. Let an administrator of the database run: '
                'create role % nologin; grant % to % with inherit false, set true', searcher, current_user, searcher, searcher, current_user;
        end;
        execute format('grant %I to current_user with inherit false, set true', searcher);
    end if;
    execute format('grant usage, create on schema %I to %I', current_schema(), searcher);
    execute format('grant select on person_index to %I', searcher);
    execute format('create policy search_function on person_index for select to %I using (true)', searcher);
    execute format($function$
        create function find_persons(
            wanted integer[], surnames integer[], givens integer[], births integer[], birth_low integer, birth_high integer, at_most integer)
        returns table (record_number bigint, agency_id text, names text, birth integer)
        language plpgsql stable security definer
        set search_path = %1$I, pg_temp
        -- planned anew with its values each time: a plan for any values can't know that the index is worth it
        set plan_cache_mode = force_custom_plan
        as $body$
        declare
            -- never null: agencies that aren't named see nothing
            own text := coalesce(current_setting('rtcc.agency', true), '');
            visible text[] := own || coalesce(string_to_array(current_setting('rtcc.shared_agencies', true), ','), '{}');
        begin
            return query
                select p.record_number, p.agency_id, p.names, p.birth from person_index p
                where p.keys operator(pg_catalog.&&) wanted and (own = '*' or p.agency_id = any (visible))
                order by (p.surname = any (surnames))::integer * 2 + (p.given = any (givens) or p.formal = any (givens))::integer * 2
                    + (p.birth = any (births))::integer * 3 + (p.birth between birth_low and birth_high)::integer
                    + p.has_aliases::integer * 2 desc, p.record_number
                limit at_most;
        end $body$
        $function$, current_schema());
    revoke all on function find_persons from public;
    execute format('alter function find_persons owner to %I', searcher);
    execute format('revoke create on schema %I from %I', current_schema(), searcher);
    -- what the owner had went over to the new one, who gives it back
    execute format('set local role %I', searcher);
    execute format('grant execute on function find_persons to %I', owner);
    reset role;
end $$;

-- R25: criminal intelligence, never shared, never in a search.
create table intelligence (
    intelligence_id text primary key,
    agency_id text not null,
    person_record_id text not null,
    review_by timestamptz not null,
    -- rtcc.identity.v1.Intelligence
    body bytea not null
);
select rtcc_protect('intelligence');
create index intelligence_of on intelligence (agency_id, person_record_id);

-- Who was told what of it, why and when (28 CFR 23.20(g)). Stays when the record is purged.
create table dissemination (
    dissemination_number bigint generated always as identity primary key,
    agency_id text not null,
    intelligence_id text not null,
    principal_id text not null,
    principal_name text not null,
    purpose text not null,
    case_number text not null,
    disseminated_at timestamptz not null
);
select rtcc_protect('dissemination');
create index dissemination_of on dissemination (agency_id, intelligence_id, disseminated_at desc);

create table record_import (
    import_id text primary key,
    agency_id text not null,
    state text not null check (state in ('waiting', 'running', 'done', 'failed')),
    started_at timestamptz not null,
    -- a running import whose process is gone is taken up by another
    touched_at timestamptz not null,
    -- in the agency's bucket; removed when the import ends
    object_key text not null,
    -- rtcc.identity.v1.StartRecordImportRequest without the file
    request bytea not null,
    -- rtcc.identity.v1.RecordImport
    body bytea not null
);
select rtcc_protect('record_import');
create index record_import_open on record_import (state, touched_at) where state in ('waiting', 'running');
create index record_import_time on record_import (agency_id, started_at desc);
