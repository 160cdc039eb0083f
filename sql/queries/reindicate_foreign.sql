-- purpose: tickers with bars that `series` does not know: another program wrote them
-- parameters: bars relation; market, interval
select distinct ticker from {bars} as bar
where not exists (
    select from series where market = %s and interval = %s and series.ticker = bar.ticker
)
order by ticker
