-- How much there is of each camera, kept with every change: a list of cameras and a sweep must not read millions of rows to know it.

create table footage_total (
    agency_id text not null,
    camera_id text not null,
    segments bigint not null,
    size_bytes bigint not null,
    primary key (agency_id, camera_id)
);
select rtcc_protect('footage_total');

insert into footage_total select agency_id, camera_id, count(*), sum(size_bytes) from footage_segment group by agency_id, camera_id;

create function footage_count_added() returns trigger language plpgsql as $$
begin
    -- in one order, so that two transactions never wait for each other
    insert into footage_total as t
        select agency_id, camera_id, count(*), sum(size_bytes) from changed group by agency_id, camera_id order by agency_id, camera_id
        on conflict (agency_id, camera_id) do update
            set segments = t.segments + excluded.segments, size_bytes = t.size_bytes + excluded.size_bytes;
    return null;
end $$;

create function footage_count_removed() returns trigger language plpgsql as $$
begin
    perform 1 from footage_total t
        where exists (select from changed c where (c.agency_id, c.camera_id) = (t.agency_id, t.camera_id))
        order by agency_id, camera_id for update;
    update footage_total t set segments = t.segments - c.segments, size_bytes = t.size_bytes - c.size_bytes
        from (select agency_id, camera_id, count(*) as segments, sum(size_bytes) as size_bytes from changed group by 1, 2) c
        where (c.agency_id, c.camera_id) = (t.agency_id, t.camera_id);
    return null;
end $$;

create trigger footage_added after insert on footage_segment
    referencing new table as changed for each statement execute function footage_count_added();
create trigger footage_removed after delete on footage_segment
    referencing old table as changed for each statement execute function footage_count_removed();
