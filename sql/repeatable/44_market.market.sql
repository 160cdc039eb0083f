-- The three stored intervals of one market as one relation, as the documents' SELECTs expect it, of what is stored and of
-- what is published. A constant interval reads one of them only. The ticker goes through the union as {carried} for the reason
-- told in 42_published; the published relations have done so already.
create or replace view {public} as
select
    series::text as ticker, interval, time, open, high, low, close, volume, adjusted_close,
    ma10, ma20, ma50, ma100, ma200, ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
    close_changed, volume_changed, total_money_changed, created_at, updated_at
from (
    select ticker::{carried} as series, * from {timed_1m}
    union all
    select ticker::{carried}, * from {timed_1h}
    union all
    select ticker::{carried}, * from {timed_1d}
) as bar;

create or replace view {published} as
select * from {published_timed_1m}
union all
select * from {published_timed_1h}
union all
select * from {published_timed_1d};

-- Rollups carry prices and volume; their indicators are computed at read time.
create or replace view {public_5m} as select ticker, time, open, high, low, close, volume from {bars_5m};
create or replace view {public_15m} as select ticker, time, open, high, low, close, volume from {bars_15m};
create or replace view {public_30m} as select ticker, time, open, high, low, close, volume from {bars_30m};
create or replace view {public_1w} as select ticker, time, open, high, low, close, volume from {bars_1w};
create or replace view {public_2w} as select ticker, time, open, high, low, close, volume from {bars_2w};
create or replace view {public_1mo} as select ticker, time, open, high, low, close, volume from {bars_1mo};
