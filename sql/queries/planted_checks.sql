-- purpose: the samples of failed checks of a relation (any: of all of its market), newest first
-- parameters: market, interval, any, checks
select expectation, sample
from quality_result
where market = %(market)s and (%(any)s or interval = %(interval)s) and status = 'failed' and expectation = any(%(checks)s::text[])
order by result_id desc
