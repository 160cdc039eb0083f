-- What readers of one market see: the documents' columns. The eight indicators that are not stored are expressions with
-- the same operations in the same order as hypertape.indicators, so both give the same bits.
drop view if exists {public} cascade;
drop view if exists {public_1m} cascade;
drop view if exists {public_1h} cascade;
drop view if exists {public_1d} cascade;
drop view if exists {public_5m} cascade;
drop view if exists {public_15m} cascade;
drop view if exists {public_30m} cascade;
drop view if exists {public_1w} cascade;
drop view if exists {public_2w} cascade;
drop view if exists {public_1mo} cascade;

create view {public_1m} as
select
    ticker, time, open, high, low, close, volume, adjusted_close,
    ma10, ma20, ma50, ma100, ma200,
    (close - ma10) / nullif(ma10, 0) * 100 as ma10_score,
    (close - ma20) / nullif(ma20, 0) * 100 as ma20_score,
    (close - ma50) / nullif(ma50, 0) * 100 as ma50_score,
    (close - ma100) / nullif(ma100, 0) * 100 as ma100_score,
    (close - ma200) / nullif(ma200, 0) * 100 as ma200_score,
    case when previous_close > 0 then (close - previous_close) / previous_close * 100 end as close_changed,
    case when previous_volume > 0 then (volume - previous_volume) / previous_volume * 100 end as volume_changed,
    (close - previous_close) * volume as total_money_changed
from {bars_1m};

create view {public_1h} as
select
    ticker, time, open, high, low, close, volume, adjusted_close,
    ma10, ma20, ma50, ma100, ma200,
    (close - ma10) / nullif(ma10, 0) * 100 as ma10_score,
    (close - ma20) / nullif(ma20, 0) * 100 as ma20_score,
    (close - ma50) / nullif(ma50, 0) * 100 as ma50_score,
    (close - ma100) / nullif(ma100, 0) * 100 as ma100_score,
    (close - ma200) / nullif(ma200, 0) * 100 as ma200_score,
    case when previous_close > 0 then (close - previous_close) / previous_close * 100 end as close_changed,
    case when previous_volume > 0 then (volume - previous_volume) / previous_volume * 100 end as volume_changed,
    (close - previous_close) * volume as total_money_changed
from {bars_1h};

create view {public_1d} as
select
    ticker, time, open, high, low, close, volume, adjusted_close,
    ma10, ma20, ma50, ma100, ma200,
    (close - ma10) / nullif(ma10, 0) * 100 as ma10_score,
    (close - ma20) / nullif(ma20, 0) * 100 as ma20_score,
    (close - ma50) / nullif(ma50, 0) * 100 as ma50_score,
    (close - ma100) / nullif(ma100, 0) * 100 as ma100_score,
    (close - ma200) / nullif(ma200, 0) * 100 as ma200_score,
    case when previous_close > 0 then (close - previous_close) / previous_close * 100 end as close_changed,
    case when previous_volume > 0 then (volume - previous_volume) / previous_volume * 100 end as volume_changed,
    (close - previous_close) * volume as total_money_changed
from {bars_1d};

-- All three, as the documents' SELECTs expect them. A constant interval reads one relation only.
create view {public} as
select
    bar.ticker, '1m'::text as interval, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close,
    bar.ma10, bar.ma20, bar.ma50, bar.ma100, bar.ma200,
    (close - ma10) / nullif(ma10, 0) * 100 as ma10_score,
    (close - ma20) / nullif(ma20, 0) * 100 as ma20_score,
    (close - ma50) / nullif(ma50, 0) * 100 as ma50_score,
    (close - ma100) / nullif(ma100, 0) * 100 as ma100_score,
    (close - ma200) / nullif(ma200, 0) * 100 as ma200_score,
    case when previous_close > 0 then (close - previous_close) / previous_close * 100 end as close_changed,
    case when previous_volume > 0 then (volume - previous_volume) / previous_volume * 100 end as volume_changed,
    (close - previous_close) * volume as total_money_changed,
    coalesce(
        (
            select min(revision.valid_from) from bar_revision as revision
            where revision.market = {market} and revision.interval = '1m'
                and revision.ticker = bar.ticker and revision.time = bar.time
        ),
        (select loaded_at from load where load.load_id = bar.load_id)
    ) as created_at,
    (select loaded_at from load where load.load_id = bar.load_id) as updated_at
from {bars_1m} as bar
union all
select
    bar.ticker, '1H'::text as interval, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close,
    bar.ma10, bar.ma20, bar.ma50, bar.ma100, bar.ma200,
    (close - ma10) / nullif(ma10, 0) * 100 as ma10_score,
    (close - ma20) / nullif(ma20, 0) * 100 as ma20_score,
    (close - ma50) / nullif(ma50, 0) * 100 as ma50_score,
    (close - ma100) / nullif(ma100, 0) * 100 as ma100_score,
    (close - ma200) / nullif(ma200, 0) * 100 as ma200_score,
    case when previous_close > 0 then (close - previous_close) / previous_close * 100 end as close_changed,
    case when previous_volume > 0 then (volume - previous_volume) / previous_volume * 100 end as volume_changed,
    (close - previous_close) * volume as total_money_changed,
    coalesce(
        (
            select min(revision.valid_from) from bar_revision as revision
            where revision.market = {market} and revision.interval = '1h'
                and revision.ticker = bar.ticker and revision.time = bar.time
        ),
        (select loaded_at from load where load.load_id = bar.load_id)
    ) as created_at,
    (select loaded_at from load where load.load_id = bar.load_id) as updated_at
from {bars_1h} as bar
union all
select
    bar.ticker, '1D'::text as interval, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close,
    bar.ma10, bar.ma20, bar.ma50, bar.ma100, bar.ma200,
    (close - ma10) / nullif(ma10, 0) * 100 as ma10_score,
    (close - ma20) / nullif(ma20, 0) * 100 as ma20_score,
    (close - ma50) / nullif(ma50, 0) * 100 as ma50_score,
    (close - ma100) / nullif(ma100, 0) * 100 as ma100_score,
    (close - ma200) / nullif(ma200, 0) * 100 as ma200_score,
    case when previous_close > 0 then (close - previous_close) / previous_close * 100 end as close_changed,
    case when previous_volume > 0 then (volume - previous_volume) / previous_volume * 100 end as volume_changed,
    (close - previous_close) * volume as total_money_changed,
    coalesce(
        (
            select min(revision.valid_from) from bar_revision as revision
            where revision.market = {market} and revision.interval = '1d'
                and revision.ticker = bar.ticker and revision.time = bar.time
        ),
        (select loaded_at from load where load.load_id = bar.load_id)
    ) as created_at,
    (select loaded_at from load where load.load_id = bar.load_id) as updated_at
from {bars_1d} as bar;

-- Rollups carry prices and volume; their indicators are computed at read time.
create view {public_5m} as select ticker, time, open, high, low, close, volume from {bars_5m};
create view {public_15m} as select ticker, time, open, high, low, close, volume from {bars_15m};
create view {public_30m} as select ticker, time, open, high, low, close, volume from {bars_30m};
create view {public_1w} as select ticker, time, open, high, low, close, volume from {bars_1w};
create view {public_2w} as select ticker, time, open, high, low, close, volume from {bars_2w};
create view {public_1mo} as select ticker, time, open, high, low, close, volume from {bars_1mo};
