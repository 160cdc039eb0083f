-- purpose: where each series of a relation is loaded and validated up to. A delisted ticker's watermark stays where its
--   bars end; what the gap ledger calls delisted was answered as well, or its window would grow for ever, and take a batch
--   of its own in every run
-- parameters: market, interval
select
    series.ticker,
    greatest(
        series.watermark,
        (
            select max(gap.end_time) from gap
            where gap.market = series.market and gap.interval = series.interval and gap.ticker = series.ticker
                and gap.reason = 'delisted' and gap.closed_at is null
        )
    )
from series
where series.market = %s and series.interval = %s and series.watermark is not null
