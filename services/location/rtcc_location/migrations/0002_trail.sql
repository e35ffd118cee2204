-- Where units went: one packed row a unit and minute (domain/trail.py), about 500 bytes for 60 fixes.
create table trail (
    unit_id text not null, minute int not null, agency_id text not null, fixes int not null, body bytea not null,
    primary key (unit_id, minute));
select rtcc_protect('trail');
create index trail_minute on trail using brin (minute);
