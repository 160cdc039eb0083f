-- purpose: keep the former values of the final bars a load is about to change; valid_to is set when the load ends
-- parameters: bars relation; tickers, times, load_ids (arrays), first, last, market, interval
insert into bar_revision (
    market, interval, ticker, time, open, high, low, close, volume, adjusted_close, load_id, replaced_by, valid_from, valid_to
)
select
    %(market)s, %(interval)s, bar.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close,
    bar.load_id, given.load_id,
    case
        when former.load_id is null then '-infinity'
        when bar.time >= former.provisional_from then coalesce(
            (
                select min(finalising.loaded_at) from load as finalising
                where finalising.market = %(market)s and finalising.interval = %(interval)s
                    and finalising.ticker = bar.ticker and finalising.finalised = bar.time
                    and finalising.load_id > former.load_id
            ),
            former.loaded_at
        )
        else former.loaded_at
    end,
    'infinity'
from unnest(%(tickers)s::text[], %(times)s::timestamptz[], %(load_ids)s::bigint[]) as given (ticker, time, load_id)
join {bars} as bar on bar.ticker = given.ticker and bar.time = given.time
left join load as former on former.load_id = bar.load_id
where bar.ticker = any(%(tickers)s::text[]) and bar.time >= %(first)s and bar.time <= %(last)s
