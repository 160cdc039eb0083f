-- What is published of one market: its three stored intervals as one relation, as public has it, and its rollups. A bucket is
-- read as it is stored where no bar in it or before it has changed since its series was published, and else made anew.
create or replace view {published} as
select
    bar.ticker, '1m'::text as interval, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close,
    ma10, ma20, ma50, ma100, ma200, ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
    close_changed, volume_changed, total_money_changed,
    coalesce(
        (
            select min(revision.valid_from) from bar_revision as revision
            where revision.market = {market} and revision.interval = '1m'
                and revision.ticker = bar.ticker and revision.time = bar.time
        ),
        (select loaded_at from load where load.load_id = bar.load_id)
    ) as created_at,
    (select loaded_at from load where load.load_id = bar.load_id) as updated_at
from {published_with_load_1m} as bar
union all
select
    bar.ticker, '1H'::text as interval, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close,
    ma10, ma20, ma50, ma100, ma200, ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
    close_changed, volume_changed, total_money_changed,
    coalesce(
        (
            select min(revision.valid_from) from bar_revision as revision
            where revision.market = {market} and revision.interval = '1h'
                and revision.ticker = bar.ticker and revision.time = bar.time
        ),
        (select loaded_at from load where load.load_id = bar.load_id)
    ) as created_at,
    (select loaded_at from load where load.load_id = bar.load_id) as updated_at
from {published_with_load_1h} as bar
union all
select
    bar.ticker, '1D'::text as interval, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close,
    ma10, ma20, ma50, ma100, ma200, ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
    close_changed, volume_changed, total_money_changed,
    coalesce(
        (
            select min(revision.valid_from) from bar_revision as revision
            where revision.market = {market} and revision.interval = '1d'
                and revision.ticker = bar.ticker and revision.time = bar.time
        ),
        (select loaded_at from load where load.load_id = bar.load_id)
    ) as created_at,
    (select loaded_at from load where load.load_id = bar.load_id) as updated_at
from {published_with_load_1d} as bar;

create or replace view {published_5m} as
select ticker, time, open, high, low, close, volume
from (
    select false as is_former, ticker, time, open, high, low, close, volume
    from {bars_5m}
    union all
    select true, behind.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume
    from hypertape.unsettled as behind
    cross join lateral hypertape.rollup_behind({market}, '5m', behind.ticker, behind.since) as bar
    where behind.market = {market} and behind.interval = '1m'
) as bar
where
    is_former
    or time < (
        select hypertape.bucket_of(interval '5 minutes', coalesce(min(since), 'infinity'))
        from hypertape.unsettled where market = {market} and interval = '1m'
    )
    or ticker not in (
        select unsettled.ticker from hypertape.unsettled where market = {market} and interval = '1m'
    )
    or time < (
        select hypertape.bucket_of(interval '5 minutes', since) from hypertape.unsettled
        where market = {market} and interval = '1m' and unsettled.ticker = bar.ticker
    );

create or replace view {published_15m} as
select ticker, time, open, high, low, close, volume
from (
    select false as is_former, ticker, time, open, high, low, close, volume
    from {bars_15m}
    union all
    select true, behind.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume
    from hypertape.unsettled as behind
    cross join lateral hypertape.rollup_behind({market}, '15m', behind.ticker, behind.since) as bar
    where behind.market = {market} and behind.interval = '1m'
) as bar
where
    is_former
    or time < (
        select hypertape.bucket_of(interval '15 minutes', coalesce(min(since), 'infinity'))
        from hypertape.unsettled where market = {market} and interval = '1m'
    )
    or ticker not in (
        select unsettled.ticker from hypertape.unsettled where market = {market} and interval = '1m'
    )
    or time < (
        select hypertape.bucket_of(interval '15 minutes', since) from hypertape.unsettled
        where market = {market} and interval = '1m' and unsettled.ticker = bar.ticker
    );

create or replace view {published_30m} as
select ticker, time, open, high, low, close, volume
from (
    select false as is_former, ticker, time, open, high, low, close, volume
    from {bars_30m}
    union all
    select true, behind.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume
    from hypertape.unsettled as behind
    cross join lateral hypertape.rollup_behind({market}, '30m', behind.ticker, behind.since) as bar
    where behind.market = {market} and behind.interval = '1m'
) as bar
where
    is_former
    or time < (
        select hypertape.bucket_of(interval '30 minutes', coalesce(min(since), 'infinity'))
        from hypertape.unsettled where market = {market} and interval = '1m'
    )
    or ticker not in (
        select unsettled.ticker from hypertape.unsettled where market = {market} and interval = '1m'
    )
    or time < (
        select hypertape.bucket_of(interval '30 minutes', since) from hypertape.unsettled
        where market = {market} and interval = '1m' and unsettled.ticker = bar.ticker
    );

create or replace view {published_1w} as
select ticker, time, open, high, low, close, volume
from (
    select false as is_former, ticker, time, open, high, low, close, volume
    from {bars_1w}
    union all
    select true, behind.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume
    from hypertape.unsettled as behind
    cross join lateral hypertape.rollup_behind({market}, '1w', behind.ticker, behind.since) as bar
    where behind.market = {market} and behind.interval = '1d'
) as bar
where
    is_former
    or time < (
        select hypertape.bucket_of(interval '7 days', coalesce(min(since), 'infinity'))
        from hypertape.unsettled where market = {market} and interval = '1d'
    )
    or ticker not in (
        select unsettled.ticker from hypertape.unsettled where market = {market} and interval = '1d'
    )
    or time < (
        select hypertape.bucket_of(interval '7 days', since) from hypertape.unsettled
        where market = {market} and interval = '1d' and unsettled.ticker = bar.ticker
    );

create or replace view {published_2w} as
select ticker, time, open, high, low, close, volume
from (
    select false as is_former, ticker, time, open, high, low, close, volume
    from {bars_2w}
    union all
    select true, behind.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume
    from hypertape.unsettled as behind
    cross join lateral hypertape.rollup_behind({market}, '2w', behind.ticker, behind.since) as bar
    where behind.market = {market} and behind.interval = '1d'
) as bar
where
    is_former
    or time < (
        select hypertape.bucket_of(interval '14 days', coalesce(min(since), 'infinity'))
        from hypertape.unsettled where market = {market} and interval = '1d'
    )
    or ticker not in (
        select unsettled.ticker from hypertape.unsettled where market = {market} and interval = '1d'
    )
    or time < (
        select hypertape.bucket_of(interval '14 days', since) from hypertape.unsettled
        where market = {market} and interval = '1d' and unsettled.ticker = bar.ticker
    );

create or replace view {published_1mo} as
select ticker, time, open, high, low, close, volume
from (
    select false as is_former, ticker, time, open, high, low, close, volume
    from {bars_1mo}
    union all
    select true, behind.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume
    from hypertape.unsettled as behind
    cross join lateral hypertape.rollup_behind({market}, '1mo', behind.ticker, behind.since) as bar
    where behind.market = {market} and behind.interval = '1d'
) as bar
where
    is_former
    or time < (
        select hypertape.bucket_of(interval '1 month', coalesce(min(since), 'infinity'))
        from hypertape.unsettled where market = {market} and interval = '1d'
    )
    or ticker not in (
        select unsettled.ticker from hypertape.unsettled where market = {market} and interval = '1d'
    )
    or time < (
        select hypertape.bucket_of(interval '1 month', since) from hypertape.unsettled
        where market = {market} and interval = '1d' and unsettled.ticker = bar.ticker
    );
