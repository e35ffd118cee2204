-- One Merkle tree per agency. `body` is what the hashes cover; every other column of ledger_entry is an index over it and is
-- compared with it by the verification.
create table ledger_tree (
    agency_id text primary key,
    size bigint not null,
    frontier bytea not null,
    root_hash bytea not null,
    checkpoints bigint not null
);

create table ledger_entry (
    agency_id text not null,
    leaf_index bigint not null,
    entry_id text not null,
    leaf_hash bytea not null,
    body bytea not null,
    recorded_at timestamptz not null,
    action text not null,
    outcome smallint not null,
    principal_id text not null,
    principal_agency_id text not null,
    owner_agency_id text not null,
    search text not null,
    primary key (agency_id, leaf_index),
    unique (agency_id, entry_id)
);
create index ledger_entry_by_action on ledger_entry (agency_id, action, leaf_index desc);
create index ledger_entry_by_principal on ledger_entry (agency_id, principal_id, leaf_index desc);

-- who saw X
create table ledger_object (
    agency_id text not null,
    object_id text not null,
    leaf_index bigint not null,
    primary key (agency_id, object_id, leaf_index)
);
create index ledger_object_by_leaf on ledger_object (agency_id, leaf_index);

-- complete subtrees above the leaves, named by the leaf that completed them; position = last_leaf >> level
create table ledger_node (
    agency_id text not null,
    last_leaf bigint not null,
    level smallint not null,
    hash bytea not null,
    primary key (agency_id, last_leaf, level)
);

create table ledger_checkpoint (
    agency_id text not null,
    number bigint not null,
    tree_size bigint not null,
    root_hash bytea not null,
    signed_at timestamptz not null,
    key_id text not null,
    note text not null,
    signature bytea not null,
    primary key (agency_id, number)
);
create index ledger_checkpoint_by_size on ledger_checkpoint (agency_id, tree_size);

select rtcc_protect('ledger_tree');
select rtcc_protect('ledger_entry');
select rtcc_protect('ledger_object');
select rtcc_protect('ledger_node');
select rtcc_protect('ledger_checkpoint');

-- R12: what stands in the log is neither changed nor deleted, by nobody and for no reason: the role loses the rights, and a
-- trigger stops whoever gave them back. The verification finds what was done by somebody who removed the trigger as well.
create function ledger_refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is append-only: % on % is refused', tg_op, tg_table_name using errcode = 'insufficient_privilege';
end $$;

do $$
declare
    kept text;
begin
    foreach kept in array array['ledger_entry', 'ledger_object', 'ledger_node', 'ledger_checkpoint'] loop
        execute format('create trigger append_only before update or delete on %I for each row execute function ledger_refuse_change()', kept);
        execute format('create trigger append_only_whole before truncate on %I for each statement execute function ledger_refuse_change()', kept);
        execute format('revoke update, delete, truncate on %I from current_user', kept);
    end loop;
    execute 'revoke delete, truncate on ledger_tree from current_user';
end $$;
