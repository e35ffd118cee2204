-- `&&` passes for cheap with the planner, and how rare the keys are it can only guess: a table of some thousand persons was read whole,
-- a hundred keys against thirty in each row.
do $$
begin
    execute format('set local role %I', current_user || '_search');
    alter function find_persons set enable_seqscan = off;
    reset role;
end $$;
