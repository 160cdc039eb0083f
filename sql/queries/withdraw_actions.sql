-- purpose: mark the dividends or splits that their source no longer reports; a row for each
-- parameters: table, value column; market, kind, run_id, now, start, end (of the answer's window), arrays tickers, sources,
--   firsts, lasts (the answer's first and last bar of each ticker), arrays given_tickers, given_times (what it reports)
with gone as (
    update {table} as kept set withdrawn_at = %(now)s, withdrawn_run = %(run_id)s
    from unnest(
        %(tickers)s::text[], %(sources)s::text[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[]
    ) as answer (ticker, source, first, last)
    where kept.market = %(market)s and kept.ticker = answer.ticker and kept.source = answer.source
        and kept.withdrawn_at is null and kept.time >= %(start)s and kept.time < %(end)s
        and kept.time >= answer.first and kept.time <= answer.last
        and not exists (
            select from unnest(%(given_tickers)s::text[], %(given_times)s::timestamptz[]) as given (ticker, time)
            where given.ticker = kept.ticker and given.time = kept.time
        )
    returning kept.ticker, kept.time, kept.{value} as value, kept.source
)
insert into action_change (kind, market, ticker, time, change, former, value, source, run_id, changed_at)
select %(kind)s, %(market)s, ticker, time, 'withdrawn', value, value, source, %(run_id)s, %(now)s from gone
returning ticker
