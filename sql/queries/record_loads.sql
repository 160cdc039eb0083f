-- purpose: open one `load` row per ticker; the ids come back in the order given
-- parameters: run_id, market, interval, attempt, code_version, reason; arrays of tickers, sources, window_starts,
--   window_ends, statuses, fetched, duplicates, expected, missing, provisional_from, finalised, answered_until, errors,
--   error_kinds
with given as (
    select *
    from unnest(
        %(tickers)s::text[], %(sources)s::text[], %(window_starts)s::timestamptz[], %(window_ends)s::timestamptz[],
        %(statuses)s::text[], %(fetched)s::bigint[], %(duplicates)s::bigint[], %(expected)s::bigint[],
        %(missing)s::bigint[], %(provisional_from)s::timestamptz[], %(finalised)s::timestamptz[],
        %(answered_until)s::timestamptz[], %(errors)s::text[], %(error_kinds)s::text[]
    ) with ordinality as row (
        ticker, source, window_start, window_end, status, fetched, duplicates, expected, missing, provisional_from,
        finalised, answered_until, error, error_kind, place
    )
),
opened as (
    insert into load (
        run_id, market, interval, ticker, attempt, source, window_start, window_end, status, fetched, duplicates,
        expected, missing, provisional_from, code_version, reason, finalised, answered_until, error,
        error_kind
    )
    select
        %(run_id)s, %(market)s, %(interval)s, ticker, %(attempt)s, source, window_start, window_end, status, fetched,
        duplicates, expected, missing, provisional_from, %(code_version)s, %(reason)s, finalised, answered_until, error,
        error_kind
    from given
    order by place
    returning load_id, ticker
)
select load_id from opened join given using (ticker) order by place
