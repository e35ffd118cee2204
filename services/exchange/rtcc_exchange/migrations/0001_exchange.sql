create table subscription (
    subscription_id text primary key, agreement_id text not null unique, grantor_agency_id text not null, grantee_agency_id text not null,
    record bytea not null);
select rtcc_protect('subscription', 'grantor_agency_id', 'grantee_agency_id');

-- The neighbour's copy of each alert, as it was sent last. The row ends with its agreement.
create table shared_alert (
    grantee_agency_id text not null, alert_id text not null, grantor_agency_id text not null, agreement_id text not null,
    is_open boolean not null, shared_at timestamptz not null, record bytea not null,
    primary key (grantee_agency_id, alert_id));
create index shared_alert_of_agreement on shared_alert (agreement_id);
create index shared_alert_newest on shared_alert (grantee_agency_id, shared_at desc);
select rtcc_protect('shared_alert', 'grantee_agency_id');

-- Messages of shared.<grantee>.alert: an outbox that remembers where each one stands in the stream, so that a revocation can take
-- back what is not sent and delete what is.
create table delivery (
    number bigint generated always as identity primary key, grantee_agency_id text not null, agreement_id text not null,
    alert_id text not null, subject text not null, message_id text not null, body bytea not null, stream_sequence bigint,
    written_at timestamptz not null default now());
create index delivery_waiting on delivery (number) where stream_sequence is null;
create index delivery_of_agreement on delivery (agreement_id);
select rtcc_protect('delivery', 'grantee_agency_id');

select rtcc_create_outbox();
