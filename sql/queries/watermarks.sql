-- purpose: where each series of a relation is loaded and validated up to
-- parameters: market, interval
select ticker, watermark from series where market = %s and interval = %s and watermark is not null
