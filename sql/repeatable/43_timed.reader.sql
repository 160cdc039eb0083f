-- What one stored relation adds to its market's: the interval as the documents spell it, and since when a bar is known. The
-- load is looked up only where these columns are asked for.
create or replace view {timed} as
select
    bar.ticker, {spelling}::text as interval, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close,
    ma10, ma20, ma50, ma100, ma200, ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
    close_changed, volume_changed, total_money_changed,
    coalesce(
        (
            select min(revision.valid_from) from bar_revision as revision
            where revision.market = {market} and revision.interval = {interval}
                and revision.ticker = bar.ticker and revision.time = bar.time
        ),
        (select loaded_at from load where load.load_id = bar.load_id)
    ) as created_at,
    (select loaded_at from load where load.load_id = bar.load_id) as updated_at
from {with_load} as bar;
