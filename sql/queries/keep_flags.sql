-- purpose: flag bars that are stored as delivered although they break a rule
-- parameters: market, interval; tickers, times, rules, values, load_ids (arrays)
insert into bar_flag (market, interval, ticker, time, rule, value, load_id)
select %(market)s, %(interval)s, given.*
from unnest(
    %(tickers)s::text[], %(times)s::timestamptz[], %(rules)s::text[], %(values)s::text[], %(load_ids)s::bigint[]
) as given
on conflict (market, interval, ticker, time, rule) do update
set value = excluded.value, load_id = excluded.load_id, flagged_at = excluded.flagged_at
