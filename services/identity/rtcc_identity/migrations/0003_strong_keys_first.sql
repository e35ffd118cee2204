-- Few rows for nearly every search: first those who share a key that says much (the whole name but for a letter, both sounds, a sound and the
-- date). Only when they are hardly any, those who share one that says little (sound of the surname and the year).
--
-- And one round trip: search_persons sets the scope for itself, as a transaction of its own.
do $$
declare
    owner text := current_user;
    searcher text := owner || '_search';
begin
    execute format('grant create on schema %I to %I', current_schema(), searcher);
    execute format('set local role %I', searcher);
    execute 'drop function find_persons';
    execute format($function$
        create function find_persons(
            strong integer[], weak integer[], surnames integer[], givens integer[], births integer[], birth_low integer, birth_high integer,
            at_most integer)
        returns table (record_number bigint, agency_id text, names text, birth integer)
        language plpgsql stable security definer
        set search_path = %1$I, pg_temp
        -- planned anew with its values each time: a plan for any values can't know that the index is worth it
        set plan_cache_mode = force_custom_plan
        set enable_seqscan = off
        as $body$
        declare
            -- never null: agencies that aren't named see nothing
            own text := coalesce(current_setting('rtcc.agency', true), '');
            visible text[] := own || coalesce(string_to_array(current_setting('rtcc.shared_agencies', true), ','), '{}');
            wanted integer[] := strong;
            found_so_far integer;
        begin
            loop
                return query
                    select p.record_number, p.agency_id, p.names, p.birth from person_index p
                    where p.keys operator(pg_catalog.&&) wanted and (own = '*' or p.agency_id = any (visible))
                    order by (p.surname = any (surnames))::integer * 2 + (p.given = any (givens) or p.formal = any (givens))::integer * 2
                        + (p.birth = any (births))::integer * 3 + (p.birth between birth_low and birth_high)::integer
                        + p.has_aliases::integer * 2 desc, p.record_number
                    limit at_most;
                get diagnostics found_so_far = row_count;
                -- the same person may come twice, which costs the caller nothing
                exit when found_so_far >= 10 or cardinality(weak) = 0 or wanted = weak;
                wanted := weak;
            end loop;
        end $body$
        $function$, current_schema());
    execute 'revoke all on function find_persons from public';
    execute format('grant execute on function find_persons to %I', owner);
    execute 'reset role';
    execute format('revoke create on schema %I from %I', current_schema(), searcher);
end $$;

create function search_persons(
    scope_agency_id text, grantors text, strong integer[], weak integer[], surnames integer[], givens integer[], births integer[],
    birth_low integer, birth_high integer, at_most integer)
returns table (record_number bigint, agency_id text, names text, birth integer)
language plpgsql volatile as $body$
begin
    perform set_config('rtcc.agency', scope_agency_id, true), set_config('rtcc.shared_agencies', grantors, true);
    return query select * from find_persons(strong, weak, surnames, givens, births, birth_low, birth_high, at_most);
end $body$;
