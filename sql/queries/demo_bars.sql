-- purpose: how much a relation holds
-- parameters: relation, average (an aggregate)
select count(distinct ticker), count(*), {average}, min(time), max(time) from {relation}
