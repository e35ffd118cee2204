-- One point a slot of time: 10 s for aircraft (kind 3), which fly straight and are many, 0.2 s for drones. Otherwise a month of a
-- regional sky would be billions of rows.
alter table track_point add column slot bigint;
update track_point set slot = observed_us / 200000;
alter table track_point alter column slot set not null;
alter table track_point drop constraint track_point_pkey;
alter table track_point add primary key (track_id, slot);
