-- R13: who looked at which week of the log. Append only, as the log itself.
create index ledger_entry_by_time on ledger_entry (agency_id, recorded_at);

create table ledger_review (
    agency_id text not null,
    week_starts_at timestamptz not null,
    reviewed_at timestamptz not null,
    reviewed_by text not null,
    reviewed_by_name text not null,
    note text not null,
    findings boolean not null,
    own_entries integer not null,
    primary key (agency_id, week_starts_at, reviewed_at, reviewed_by)
);
select rtcc_protect('ledger_review');

create trigger append_only before update or delete on ledger_review for each row execute function ledger_refuse_change();
create trigger append_only_whole before truncate on ledger_review for each statement execute function ledger_refuse_change();
do $$
begin
    execute 'revoke update, delete, truncate on ledger_review from current_user';
end $$;
