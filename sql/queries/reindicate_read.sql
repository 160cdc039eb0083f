-- purpose: one series with its stored indicators, as one row of arrays (NaN stands for null); the caller sorts
-- parameters: bars relation; ticker
select
    array_agg(time), array_agg(close), array_agg(volume), array_agg(coalesce(ma10, 'NaN')), array_agg(coalesce(ma20, 'NaN')),
    array_agg(coalesce(ma50, 'NaN')), array_agg(coalesce(ma100, 'NaN')), array_agg(coalesce(ma200, 'NaN')),
    array_agg(coalesce(previous_close, 'NaN')), array_agg(coalesce(previous_volume, 'NaN'))
from {bars}
where ticker = %s
having count(*) > 0
