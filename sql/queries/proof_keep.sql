-- purpose: keep the newest proof of a part
-- parameters: kind, market, interval, part, compared, differing, tickers, sample, now, run_id
insert into proof (kind, market, interval, part, compared, differing, tickers, sample, proved_at, run_id)
values (
    %(kind)s, %(market)s, %(interval)s, %(part)s, %(compared)s, %(differing)s, %(tickers)s, %(sample)s, %(now)s, %(run_id)s
)
on conflict (kind, market, interval, part) do update
set
    compared = excluded.compared, differing = excluded.differing, tickers = excluded.tickers, sample = excluded.sample,
    proved_at = excluded.proved_at, run_id = excluded.run_id
