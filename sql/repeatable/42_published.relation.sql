-- What is published of one stored relation: bars as their series is known at its known_at, without a bar that is still
-- open. A series that has not changed since is read as it is stored, and the tests for that are made so that they cost a
-- comparison a row: only bars after the first change of any series look further. They stand outside of the union, whose
-- parts would else be planned apart: so the newest bars of a ticker are found from the end.
--
-- The ticker goes through the union as {carried}, varchar on TimescaleDB: its version 2.29 on PostgreSQL 18 refuses to order
-- a part of a union that is compressed by what it is segmented and ordered by ("invalid array position"). The casts hide the
-- column from that order. The planner removes them from filters; the newest bars of a ticker cost the read of one chunk of it.
create or replace view {published_with_load} as
select
    ticker::text as ticker, time, open, high, low, close, volume, adjusted_close,
    ma10, ma20, ma50, ma100, ma200,
    ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
    close_changed, volume_changed, total_money_changed, load_id
from (
    select
        false as is_former, ticker::{carried} as ticker, time, open, high, low, close, volume, adjusted_close,
        ma10, ma20, ma50, ma100, ma200,
        ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
        close_changed, volume_changed, total_money_changed, load_id
    from {with_load}
    union all
    select
        true, behind.ticker::{carried}, bar.time, open, high, low, close, volume, adjusted_close,
        ma10, ma20, ma50, ma100, ma200,
        (close - ma10) / nullif(ma10, 0) * 100,
        (close - ma20) / nullif(ma20, 0) * 100,
        (close - ma50) / nullif(ma50, 0) * 100,
        (close - ma100) / nullif(ma100, 0) * 100,
        (close - ma200) / nullif(ma200, 0) * 100,
        case when previous_close > 0 then (close - previous_close) / previous_close * 100 end,
        case when previous_volume > 0 then (volume - previous_volume) / previous_volume * 100 end,
        (close - previous_close) * volume,
        bar.load_id
    from published as behind
    cross join lateral hypertape.bars_behind({market}, {interval}, behind.ticker, behind.known_at, behind.changed_from) as bar
    where behind.market = {market} and behind.interval = {interval} and behind.changed_from is not null
) as bar
where
    is_former
    or (
        (
            time < (
                select coalesce(min(changed_from), 'infinity') from published
                where market = {market} and interval = {interval} and changed_from is not null
            )
            or ticker not in (
                select published.ticker from published
                where market = {market} and interval = {interval} and changed_from is not null
            )
            or time < (
                select changed_from from published
                where market = {market} and interval = {interval} and published.ticker = bar.ticker
            )
        )
        and (
            time < (
                select coalesce(min(provisional_time), 'infinity') from series
                where market = {market} and interval = {interval} and provisional_time is not null
            )
            or (ticker, time) not in (
                select series.ticker, provisional_time from series
                where market = {market} and interval = {interval} and provisional_time is not null
            )
        )
    );

create or replace view {published} as
select
    ticker, time, open, high, low, close, volume, adjusted_close,
    ma10, ma20, ma50, ma100, ma200,
    ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
    close_changed, volume_changed, total_money_changed
from {published_with_load};
