-- purpose: months whose newest proof found rollups or indicators that differ from the bars
-- parameters: market (null: all)
select kind, market, interval, part, compared, differing, tickers, sample, proved_at
from proof
where differing > 0 and (%(market)s::text is null or market = %(market)s)
order by kind, market, interval, part
