-- purpose: open a finding, or keep the open one of its cause current; inserted tells which
-- parameters: cause, kind, market, interval, tickers, severity, title, mend, link, evidence, fingerprint, now, run_id
insert into finding as held (
    cause, kind, market, interval, tickers, severity, title, mend, link, evidence, fingerprint, opened_at, opened_by, last_seen_at
)
values (
    %(cause)s, %(kind)s, %(market)s, %(interval)s, %(tickers)s, %(severity)s, %(title)s, %(mend)s, %(link)s, %(evidence)s,
    %(fingerprint)s, %(now)s, %(run_id)s, %(now)s
)
on conflict (cause) where closed_at is null do update
set
    kind = excluded.kind, market = excluded.market, interval = excluded.interval, tickers = excluded.tickers,
    severity = excluded.severity, title = excluded.title, mend = excluded.mend, link = excluded.link,
    evidence = excluded.evidence, fingerprint = excluded.fingerprint,
    last_seen_at = greatest(held.last_seen_at, excluded.last_seen_at), times = held.times + 1
returning finding_id, times = 1 as inserted
