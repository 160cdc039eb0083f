-- purpose: how many open gaps rest that nothing explains: healing has asked often enough for them
-- parameters: market, interval, tickers (null for all), reasons, explained (reasons that excuse a bar), once, most
select count(*)::int
from gap
where market = %(market)s and interval = %(interval)s and closed_at is null and reason = any(%(reasons)s)
    and (%(tickers)s::text[] is null or ticker = any(%(tickers)s))
    and reason <> all(%(explained)s::text[]) and hypertape.gap_rests(gap, %(once)s::text[], %(most)s::int)
