-- purpose: what says where each series continues: its watermark (at most now), its last bar, and the stretches after that
--   which the gap ledger excuses
-- parameters: market, interval, explained
select
    series.ticker, least(series.watermark, clock_timestamp()), series.last_time,
    coalesce(array_agg(gap.start_time order by gap.start_time) filter (where gap.start_time is not null), '{}'),
    coalesce(array_agg(gap.end_time order by gap.start_time) filter (where gap.start_time is not null), '{}')
from series
left join gap
    on gap.market = series.market and gap.interval = series.interval and gap.ticker = series.ticker
    and gap.closed_at is null and gap.reason = any(%(explained)s) and gap.end_time > series.last_time
where series.market = %(market)s and series.interval = %(interval)s and series.watermark is not null
group by series.ticker, series.watermark, series.last_time
