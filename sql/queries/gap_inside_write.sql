-- purpose: rewrite open holes (gap_id given) or open new ones
-- parameters: market, interval, run_id, now; arrays gap_ids (null: a new one), tickers, starts, ends, bars, sessions, reasons, details
with given as (
    select *
    from unnest(
        %(gap_ids)s::bigint[], %(tickers)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(bars)s::int[],
        %(sessions)s::int[], %(reasons)s::text[], %(details)s::text[]
    ) as row (gap_id, ticker, start_time, end_time, bars, sessions, reason, detail)
),
rewritten as (
    update gap
    set
        start_time = given.start_time, end_time = given.end_time, bars = given.bars, sessions = given.sessions,
        reason = given.reason, detail = given.detail,
        former_reason = case when gap.reason = given.reason then gap.former_reason else gap.reason end,
        changed_at = case when gap.reason = given.reason then gap.changed_at else %(now)s end
    from given
    where gap.gap_id = given.gap_id
)
insert into gap (market, interval, ticker, start_time, end_time, bars, sessions, reason, detail, found_run, found_at, inside)
select
    %(market)s, %(interval)s, ticker, start_time, end_time, bars, sessions, reason, detail, %(run_id)s, %(now)s, true
from given
where gap_id is null
