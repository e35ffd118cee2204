-- Where in recordings something happened: motion by the second, and what a configured model saw on key pictures. Both go with the
-- footage that they are about.

create table footage_motion (
    agency_id text not null,
    camera_id text not null,
    minute timestamptz not null,
    -- one byte a second: 0 not known, 1 to 254 one more than the score, 255 the scene changed
    scores bytea not null check (octet_length(scores) = 60),
    peak smallint not null,
    primary key (agency_id, camera_id, minute)
);
select rtcc_protect('footage_motion');

-- the higher of the two for each second: a minute is written in parts
create function footage_motion_merged(a bytea, b bytea) returns bytea language sql immutable as $$
    select decode(string_agg(lpad(to_hex(greatest(get_byte(a, i), get_byte(b, i))), 2, '0'), '' order by i), 'hex')
    from generate_series(0, 59) i
$$;

create function footage_motion_goes() returns trigger language plpgsql as $$
begin
    delete from footage_motion m
    using (select distinct g.agency_id, g.camera_id, minute from gone g
           cross join generate_series(date_trunc('minute', g.started_at), g.ended_at, interval '1 minute') minute) d
    where m.agency_id = d.agency_id and m.camera_id = d.camera_id and m.minute = d.minute
      and not exists (
          select 1 from footage_segment s
          where s.agency_id = d.agency_id and s.camera_id = d.camera_id and s.started_at > d.minute - interval '1 minute'
            and s.started_at < d.minute + interval '1 minute' and s.ended_at > d.minute);
    return null;
end $$;
create trigger footage_motion_goes after delete on footage_segment
    referencing old table as gone for each statement execute function footage_motion_goes();

create table footage_detection (
    detection_id text primary key,
    agency_id text not null,
    camera_id text not null,
    segment_id text not null references footage_segment on delete cascade,
    taken_at timestamptz not null,
    kind text not null,
    score real not null,
    box_left real not null,
    box_top real not null,
    box_width real not null,
    box_height real not null,
    colour text not null,
    model text not null
);
select rtcc_protect('footage_detection');
create index footage_detection_kind on footage_detection (agency_id, kind, taken_at);
create index footage_detection_camera on footage_detection (agency_id, camera_id, taken_at);
create index footage_detection_segment on footage_detection (segment_id);

-- which segments a model has looked at: also how far it has come, so that it goes on there after a restart
create table footage_examination (
    segment_id text primary key references footage_segment on delete cascade,
    agency_id text not null,
    camera_id text not null,
    started_at timestamptz not null,
    outcome text not null check (outcome in ('done', 'failed')),
    model text not null
);
select rtcc_protect('footage_examination');
create index footage_examination_time on footage_examination (agency_id, camera_id, started_at);
create index footage_segment_newest on footage_segment (started_at) where starts_with_key;
