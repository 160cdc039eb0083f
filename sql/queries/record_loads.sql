-- purpose: open one `load` row per ticker; the ids come back in the order given
-- parameters: arrays of run_id, market, interval, ticker, attempt, source, window_start, window_end, status, fetched,
--   duplicates, expected, missing, provisional_from, code_version, reason, finalised, answered_until, error
with given as (
    select *
    from unnest(
        %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[], %s::timestamptz[], %s::timestamptz[],
        %s::text[], %s::int[], %s::int[], %s::int[], %s::int[], %s::timestamptz[], %s::text[], %s::text[],
        %s::timestamptz[], %s::timestamptz[], %s::text[]
    ) with ordinality as row (
        run_id, market, interval, ticker, attempt, source, window_start, window_end, status, fetched, duplicates,
        expected, missing, provisional_from, code_version, reason, finalised, answered_until, error, place
    )
),
opened as (
    insert into load (
        run_id, market, interval, ticker, attempt, source, window_start, window_end, status, fetched, duplicates,
        expected, missing, provisional_from, code_version, reason, finalised, answered_until, error
    )
    select
        run_id, market, interval, ticker, attempt, source, window_start, window_end, status, fetched, duplicates,
        expected, missing, provisional_from, code_version, reason, finalised, answered_until, error
    from given
    order by place
    returning load_id, ticker
)
select load_id from opened join given using (ticker) order by place
