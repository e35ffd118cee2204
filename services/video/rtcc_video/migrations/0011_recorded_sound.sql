-- Sound beside recorded pictures (0014): an object of its own in the same row, so that whatever becomes of a segment becomes of its sound.

alter table recording_policy add column keep_sound boolean not null default false;
alter table footage_segment add column sound_sha256 text not null default '';
alter table footage_segment add column sound_bytes integer not null default 0;
alter table footage_deletion add column sounds integer not null default 0;
alter table footage_export add column with_sound boolean not null default false;

create or replace function footage_count_added() returns trigger language plpgsql as $$
begin
    insert into footage_total as t
        select agency_id, camera_id, count(*), sum(size_bytes + sound_bytes) from changed
        group by agency_id, camera_id order by agency_id, camera_id
        on conflict (agency_id, camera_id) do update
            set segments = t.segments + excluded.segments, size_bytes = t.size_bytes + excluded.size_bytes;
    return null;
end $$;

create or replace function footage_count_removed() returns trigger language plpgsql as $$
begin
    perform 1 from footage_total t
        where exists (select from changed c where (c.agency_id, c.camera_id) = (t.agency_id, t.camera_id))
        order by agency_id, camera_id for update;
    update footage_total t set segments = t.segments - c.segments, size_bytes = t.size_bytes - c.size_bytes
        from (select agency_id, camera_id, count(*) as segments, sum(size_bytes + sound_bytes) as size_bytes from changed group by 1, 2) c
        where (c.agency_id, c.camera_id) = (t.agency_id, t.camera_id);
    return null;
end $$;
