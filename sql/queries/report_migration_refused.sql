-- purpose: rows of some files that are in quarantine, by whichever run
-- parameters: sources, most (rows returned; `total` counts all)
select *, count(*) over () as total
from quarantine
where source = any(%(sources)s) and released_at is null
order by rule, market, interval, ticker, time
limit %(most)s
