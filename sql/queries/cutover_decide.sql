-- purpose: make a store the truth
-- parameters: truth, address, since, decided_by, reason, synced
insert into cutover (truth, address, load_id, since, decided_by, reason, synced)
select %s, %s, coalesce(max(load_id), 0), %s, %s, %s, %s from load
