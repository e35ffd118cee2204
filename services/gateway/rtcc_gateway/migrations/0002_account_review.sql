-- R7: who went through the accounts of an agency, and what they were in numbers
create table account_review (
    agency_id text not null,
    reviewed_at timestamptz not null,
    reviewed_by text not null,
    reviewed_by_name text not null,
    note text not null,
    accounts integer not null,
    enabled integer not null,
    primary key (agency_id, reviewed_at, reviewed_by)
);
select rtcc_protect('account_review');
create index account_used on account (used_at);
