-- purpose: what the ledgers know of each session of some series: bars are not read
-- parameters: market, interval, tickers (null: all), days, opens, closes (arrays: the sessions), now
select
    session.day, series.ticker, session.closes > %(now)s as running,
    case when %(interval)s = '1d' then session.day > (series.last_time at time zone 'UTC')::date else session.opens > series.last_time
    end as after_last,
    case when %(interval)s = '1d' then session.day < (series.first_time at time zone 'UTC')::date else session.closes <= series.first_time
    end as before_first,
    coalesce(series.provisional_time >= session.low and series.provisional_time < session.high, false) as provisional,
    (
        select array_agg(distinct gap.reason || coalesce(': ' || gap.detail, '')) from gap
        where gap.market = series.market and gap.interval = series.interval and gap.ticker = series.ticker
            and gap.closed_at is null and not gap.inside and gap.start_time < session.high and gap.end_time > session.low
    ) as gaps,
    (
        select sum(gap.bars)::bigint from gap
        where gap.market = series.market and gap.interval = series.interval and gap.ticker = series.ticker
            and gap.closed_at is null and gap.inside and gap.start_time < session.high and gap.end_time > session.low
    ) as holes,
    (
        select array_agg(distinct bar_flag.rule) from bar_flag
        where bar_flag.market = series.market and bar_flag.interval = series.interval and bar_flag.ticker = series.ticker
            and bar_flag.time >= session.low and bar_flag.time < session.high
    ) as flags,
    (
        select array_agg(distinct quarantine.rule) from quarantine
        where quarantine.market = series.market and quarantine.interval = series.interval
            and quarantine.ticker = series.ticker and quarantine.released_at is null
            and quarantine.time >= session.low and quarantine.time < session.high
    ) as refused,
    (
        select array_agg(distinct finding.title) from finding
        where finding.market = series.market and finding.interval = series.interval and finding.closed_at is null
            and finding.kind = 'check' and finding.severity = 'critical' and (
                exists (
                    select from jsonb_array_elements(finding.evidence -> 'sample') as key
                    where key ->> 'ticker' = series.ticker and key ->> 'time' ~ '^\d{4}-\d\d-\d\d'
                        and (key ->> 'time')::timestamptz >= session.low and (key ->> 'time')::timestamptz < session.high
                )
                -- more than is kept: any session of its time may have one
                or (finding.evidence -> 'listed' = 'false' and series.ticker = any(finding.tickers)
                    and (finding.evidence ->> 'first')::timestamptz < session.high
                    and (finding.evidence ->> 'last')::timestamptz > session.low)
            )
    ) as checks
from series
cross join lateral (
    select
        day, opens, closes,
        case when %(interval)s = '1d' then day::timestamp at time zone 'UTC' else opens end as low,
        case when %(interval)s = '1d' then (day + 1)::timestamp at time zone 'UTC' else closes end as high
    from unnest(%(days)s::date[], %(opens)s::timestamptz[], %(closes)s::timestamptz[]) as given (day, opens, closes)
) as session
where series.market = %(market)s and series.interval = %(interval)s
    and (%(tickers)s::text[] is null or series.ticker = any(%(tickers)s))
order by session.day, series.ticker
