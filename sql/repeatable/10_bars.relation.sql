-- What readers of one stored relation see: the documents' columns. The eight indicators that are not stored are
-- expressions with the same operations in the same order as hypertape.indicators, so both give the same bits. Views are
-- replaced in place: grants, and other people's views on top of them, stay.
create or replace view {with_load} as
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
    (close - previous_close) * volume as total_money_changed,
    load_id
from {bars};

create or replace view {public} as
select
    ticker, time, open, high, low, close, volume, adjusted_close,
    ma10, ma20, ma50, ma100, ma200,
    ma10_score, ma20_score, ma50_score, ma100_score, ma200_score,
    close_changed, volume_changed, total_money_changed
from {with_load};
