-- The bars of one relation as they were known at an instant: rows loaded by then, and the former values of those that
-- were restated later. Of a bar that was still open only its last fetch is known.
create or replace function bars_as_of(of_market text, of_interval text, instant timestamptz)
returns table (
    ticker text, "time" timestamptz, open float8, high float8, low float8, close float8, volume float8,
    adjusted_close float8, load_id bigint
)
language plpgsql stable as $$
declare
    relation text;
begin
    select format('bars.%I', table_name || '_' || of_interval) into strict relation from market where market = of_market;
    return query execute format(
        $query$
        select bar.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close, bar.load_id
        from %s as bar join load on load.load_id = bar.load_id
        where load.loaded_at <= $1
        union all
        select ticker, time, open, high, low, close, volume, adjusted_close, load_id
        from bar_revision
        where market = $2 and interval = $3 and valid_from <= $1 and valid_to > $1
        $query$, relation
    ) using instant, of_market, of_interval;
end
$$;
