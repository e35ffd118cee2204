-- Who is told of alerts outside of the console, by which servers, and what became of each message.

create table contact (
    contact_id text primary key,
    agency_id text not null,
    -- rtcc.alerting.v1.Contact
    body bytea not null,
    -- sealed: what a webhook is signed with
    secret bytea,
    -- rises with every change; each process compares the sum with what its book was made from
    revision bigint not null default 1,
    -- kept as long as deliveries name it
    removed boolean not null default false
);
select rtcc_protect('contact');
create index contact_agency on contact (agency_id) where not removed;

create table notification_settings (
    agency_id text primary key,
    -- rtcc.alerting.v1.NotificationSettings, without secrets
    body bytea not null,
    -- sealed
    smtp_password bytea,
    sms_token bytea
);
select rtcc_protect('notification_settings');

create table delivery (
    delivery_id text primary key,
    agency_id text not null,
    -- empty: a test
    alert_id text not null,
    contact_id text not null references contact,
    reason text not null,
    severity smallint not null,
    state text not null,
    attempts integer not null default 0,
    last_error text not null default '',
    receipt text not null default '',
    created_at timestamptz not null,
    -- when it is tried; while it is being tried: when another instance may take it over
    next_attempt_at timestamptz not null,
    sent_at timestamptz,
    -- the message in which a bounded contact was told of several
    digest_id text not null default ''
);
select rtcc_protect('delivery');
create unique index delivery_once on delivery (alert_id, contact_id, reason) where alert_id <> '';
create index delivery_due on delivery (next_attempt_at) where state in ('waiting', 'held');
create index delivery_listed on delivery (agency_id, created_at desc);
create index delivery_bound on delivery (contact_id, sent_at) where state = 'sent';
