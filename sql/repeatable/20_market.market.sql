-- The three stored intervals of one market as one relation, as the documents' SELECTs expect it. A constant interval reads
-- one of them only, and the load is looked up only where its columns are asked for.
create or replace view {public} as
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
from {with_load_1m} as bar
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
from {with_load_1h} as bar
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
from {with_load_1d} as bar;

-- Rollups carry prices and volume; their indicators are computed at read time.
create or replace view {public_5m} as select ticker, time, open, high, low, close, volume from {bars_5m};
create or replace view {public_15m} as select ticker, time, open, high, low, close, volume from {bars_15m};
create or replace view {public_30m} as select ticker, time, open, high, low, close, volume from {bars_30m};
create or replace view {public_1w} as select ticker, time, open, high, low, close, volume from {bars_1w};
create or replace view {public_2w} as select ticker, time, open, high, low, close, volume from {bars_2w};
create or replace view {public_1mo} as select ticker, time, open, high, low, close, volume from {bars_1mo};
