-- purpose: the rules that ever refused a row
-- parameters: none
select distinct rule from public.quarantine order by rule
