-- purpose: holes inside the window's sessions that nothing explains, as the gap ledger has them
-- parameters: market, interval, start, judged, tickers
select ticker, start_time as time, end_time, bars, reason, detail
from public.gap
where market = {market} and interval = {interval} and inside and closed_at is null
    and reason in ('provider empty', 'fetch failed', 'unknown') and start_time >= {start} and start_time < {judged}
    and ({tickers} is null or ticker = any({tickers}))
