-- purpose: by series, the open gaps that nothing excuses, between its first and its last bar (what comes after is lateness)
-- parameters: explained (reasons), market, interval (null: all)
select
    gap.market, gap.interval, gap.ticker, sum(gap.sessions)::bigint as sessions, sum(gap.bars)::bigint as bars,
    min(gap.start_time) as first_missing, max(gap.end_time) as last_missing, array_agg(distinct gap.reason) as reasons,
    bool_and(own.ticker is null) as never_loaded
from gap
left join series as own
    on own.market = gap.market and own.interval = gap.interval and own.ticker = gap.ticker
where gap.closed_at is null and gap.reason <> all(%(explained)s::text[])
    and (own.ticker is null or (gap.end_time > own.first_time and gap.start_time <= own.last_time))
    and (%(market)s::text is null or gap.market = %(market)s)
    and (%(interval)s::text is null or gap.interval = %(interval)s)
group by gap.market, gap.interval, gap.ticker
order by gap.market, gap.interval, gap.ticker
