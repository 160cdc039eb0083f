-- purpose: restatements that are not settled
-- parameters: market, interval (null: all)
select market, interval, ticker, state, source, bars, found_at
from restatement
where state in ('suspected', 'confirmed', 'partial', 'disputed')
    and (%(market)s::text is null or market = %(market)s)
    and (%(interval)s::text is null or interval = %(interval)s)
order by market, interval, ticker, restatement_id
