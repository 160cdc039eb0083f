-- purpose: keep the rows the gate refused, each once
-- parameters: arrays load_ids, tickers, times, rules, values, sources, rows; run_id, market, interval
insert into quarantine (load_id, run_id, market, interval, ticker, time, rule, value, source, row_text)
select load_id, %(run_id)s, %(market)s, %(interval)s, ticker, time, rule, value, source, row_text
from unnest(
    %(load_ids)s::bigint[], %(tickers)s::text[], %(times)s::timestamptz[], %(rules)s::text[], %(values)s::text[],
    %(sources)s::text[], %(rows)s::text[]
) as given (load_id, ticker, time, rule, value, source, row_text)
on conflict (market, interval, ticker, rule, row_digest) do nothing
