-- purpose: rows of some files that are in quarantine, by whichever run, counted by rule
-- parameters: sources
select rule, count(*) as rows from quarantine
where source = any(%(sources)s) and released_at is null
group by rule
order by rule
