-- purpose: the samples of failed checks of a market, newest first
-- parameters: market, checks
select expectation, sample
from quality_result
where market = %(market)s and status = 'failed' and expectation = any(%(checks)s::text[])
order by result_id desc
