-- purpose: does each series' recorded span equal that of its bars
-- parameters: bars relation; market, interval
select
    series.ticker,
    exists (select from {bars} as bar where bar.ticker = series.ticker and bar.time = series.first_time)
    and exists (select from {bars} as bar where bar.ticker = series.ticker and bar.time = series.last_time)
    and not exists (select from {bars} as bar where bar.ticker = series.ticker and bar.time < series.first_time)
    and not exists (select from {bars} as bar where bar.ticker = series.ticker and bar.time > series.last_time)
from series
where series.market = %s and series.interval = %s
order by series.ticker
