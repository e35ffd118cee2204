-- Alerts of every kind of event, grouped, escalated; new alerts in one statement.

-- When the next escalation is due; null: never. The sweep's index holds only what waits.
alter table alert add column escalate_at timestamptz;
create index alert_escalation on alert (escalate_at) where escalate_at is not null;

-- Another group whose events belong to an alert: the gunshot that a call for service told of first.
create table alert_alias (
    agency_id text not null,
    group_key text not null,
    alert_id text not null references alert on delete cascade,
    primary key (agency_id, group_key)
);
select rtcc_protect('alert_alias');

-- How an agency set a rule; no row: as delivered.
create table alert_rule (
    agency_id text not null,
    rule text not null,
    -- rtcc.alerting.v1.AlertRule
    body bytea not null,
    revision bigint not null default 1,
    primary key (agency_id, rule)
);
select rtcc_protect('alert_rule');

-- The entries of hot lists that stand at a moment.
create function wanted_entries(scope_agency_id text, numbers bigint[], at timestamptz)
returns table (entry_number bigint, entry_id text, agency_id text, hot_list_id text, hot_list_name text, severity smallint, plate text,
               state text, reason text, entry_source text, entered_at timestamptz, expires_at timestamptz)
language plpgsql as $$
#variable_conflict use_column
begin
    perform set_config('rtcc.agency', scope_agency_id, true);
    return query
        select e.entry_number, e.entry_id, e.agency_id, e.hot_list_id, l.name, l.severity, e.plate, e.state, e.reason, e.entry_source,
               e.entered_at, e.expires_at
        from hot_list_entry e join hot_list l using (hot_list_id)
        where e.entry_number = any(numbers) and l.enabled and (e.expires_at is null or e.expires_at > at);
end $$;

-- Raises those of the given alerts whose event is new and whose group has no open alert, and writes their messages. The answer names the
-- events that are done (raised, or handled before); every other one is left as it was, for the caller to decide in a transaction. Groups
-- are locked first, and each statement of the function sees what was committed before it.
create function raise_fresh(
    scope_agency_id text, lock_keys bigint[],
    event_ids text[], agency_ids text[], group_keys text[], alert_ids text[], kinds text[], severities smallint[],
    raised_ats timestamptz[], escalate_ats timestamptz[], bodies bytea[],
    message_alert_ids text[], message_agency_ids text[], subjects text[], message_ids text[], event_types text[], headers jsonb[],
    messages bytea[])
returns table (event_id text, alert_id text, message_id text, sequence bigint)
language plpgsql as $$
#variable_conflict use_column
begin
    perform set_config('rtcc.agency', scope_agency_id, true);
    perform pg_advisory_xact_lock(key) from unnest(lock_keys) as key;
    return query
        with given as (
            select * from unnest(event_ids, agency_ids, group_keys, alert_ids, kinds, severities, raised_ats, escalate_ats, bodies)
                as g(event_id, agency_id, group_key, alert_id, kind, severity, raised_at, escalate_at, body)),
        plain as (
            select g.* from given g
            where not exists (select from alert a
                              where a.agency_id = g.agency_id and a.group_key = g.group_key and a.state <> 'closed')),
        claimed as (
            insert into handled_event (event_id, agency_id, group_key, closes)
            select p.event_id, p.agency_id, p.group_key, false from plain p
            on conflict (event_id) do nothing returning handled_event.event_id),
        raised as (
            insert into alert (alert_id, agency_id, kind, group_key, state, severity, revision, raised_at, escalate_at, body)
            select p.alert_id, p.agency_id, p.kind, p.group_key, 'new', p.severity, 1, p.raised_at, p.escalate_at, p.body
            from plain p join claimed using (event_id)
            on conflict (alert_id) do nothing returning alert.alert_id),
        told as (
            insert into rtcc_outbox (agency_id, subject, message_id, event_type, headers, body)
            select m.agency_id, m.subject, m.message_id, m.event_type, m.header, m.message
            from unnest(message_alert_ids, message_agency_ids, subjects, message_ids, event_types, headers, messages)
                     with ordinality as m(alert_id, agency_id, subject, message_id, event_type, header, message, position)
                 join raised using (alert_id)
            order by m.position returning rtcc_outbox.sequence, rtcc_outbox.message_id)
        select p.event_id, null::text, null::text, null::bigint from plain p
        union all select null, r.alert_id, null, null from raised r
        union all select null, null, t.message_id, t.sequence from told t;
end $$;
