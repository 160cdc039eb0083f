-- The relations the Stockula documents query, over the US daily bars: what is stored, and what is published.
create or replace view {schema}.price_history as
select
    ticker as symbol, time,
    open::numeric(20, 6) as open, high::numeric(20, 6) as high, low::numeric(20, 6) as low, close::numeric(20, 6) as close,
    adjusted_close::numeric(20, 6) as adjusted_close, volume
from {schema}.us_data_1d;

create or replace view {schema}.ohlc_daily as
select ticker as symbol, time as date, open, high, low, close, volume from {schema}.us_data_1d;
