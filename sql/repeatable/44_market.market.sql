-- The three stored intervals of one market as one relation, as the documents' SELECTs expect it, of what is stored and of
-- what is published. A constant interval reads one of them only.
create or replace view {public} as
select * from {timed_1m}
union all
select * from {timed_1h}
union all
select * from {timed_1d};

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
