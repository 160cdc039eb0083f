-- What is published of one rollup. A bucket is read as it is stored where no bar in it or before it has changed since its
-- series was published, and else made anew.
create or replace view {published} as
select ticker, time, open, high, low, close, volume
from (
    select false as is_former, ticker, time, open, high, low, close, volume
    from {bars}
    union all
    select true, behind.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume
    from hypertape.unsettled as behind
    cross join lateral hypertape.rollup_behind({market}, {interval}, behind.ticker, behind.since) as bar
    where behind.market = {market} and behind.interval = {base}
) as bar
where
    is_former
    or time < (
        select hypertape.bucket_of(interval {width}, coalesce(min(since), 'infinity'))
        from hypertape.unsettled where market = {market} and interval = {base}
    )
    or ticker not in (
        select unsettled.ticker from hypertape.unsettled where market = {market} and interval = {base}
    )
    or time < (
        select hypertape.bucket_of(interval {width}, since) from hypertape.unsettled
        where market = {market} and interval = {base} and unsettled.ticker = bar.ticker
    );
