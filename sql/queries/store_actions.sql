-- purpose: keep dividends or splits as a source reports them, and note what it changed; a row (new, changed, restored)
--   for each that was written
-- parameters: table, value column; market, kind, source (null: not known), run_id, now, restore (may an action that was
--   withdrawn be restored), arrays tickers, times, values, first, last (of the times)
with given as (
    select distinct on (ticker, time) ticker, time, value
    from unnest(%(tickers)s::text[], %(times)s::timestamptz[], %(values)s::float8[]) as given (ticker, time, value)
),
former as (
    select kept.ticker, kept.time, kept.{value} as value, kept.withdrawn_at
    from {table} as kept join given using (ticker, time)
    where kept.market = %(market)s and kept.time >= %(first)s::timestamptz and kept.time <= %(last)s::timestamptz
),
written as (
    insert into {table} as kept (market, ticker, time, {value}, source)
    select %(market)s, ticker, time, value, %(source)s::text from given
    on conflict (market, ticker, time) do update
    set {value} = excluded.{value}, source = coalesce(excluded.source, kept.source), withdrawn_at = null,
        withdrawn_run = null
    where (kept.withdrawn_at is null or %(restore)s)
        and (
            kept.{value} is distinct from excluded.{value} or kept.withdrawn_at is not null
            or (kept.source is null and excluded.source is not null)
        )
    returning ticker, time, {value} as value
),
judged as (
    select
        written.*, former.value as former,
        case
            when former.ticker is null then 'new'
            when former.withdrawn_at is not null then 'restored'
            when former.value is distinct from written.value then 'changed'
        end as change
    from written left join former using (ticker, time)
),
noted as (
    insert into action_change (kind, market, ticker, time, change, former, value, source, run_id, changed_at)
    select
        %(kind)s, %(market)s, ticker, time, change, former, value, %(source)s::text, %(run_id)s::text,
        coalesce(%(now)s::timestamptz, now())
    from judged where change in ('changed', 'restored')
)
select change from judged where change is not null
