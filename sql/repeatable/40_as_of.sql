-- The instant from which a load's bars count as known: taken as the last thing before its commit. Everyone who takes one
-- shares a lock until the commit, so that `known_now` can wait for those that are under way.
create or replace function hypertape.known_from() returns timestamptz
language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock_shared(hashtextextended('hypertape/known', 0));
    return clock_timestamp();
end
$$;

-- An instant with nothing under way: every load known at it is committed, and no load will ever be known before it.
-- Loads wait to commit until the caller's transaction ends, so read and end it.
create or replace function known_now() returns timestamptz
language plpgsql volatile as $$
begin
    perform pg_advisory_xact_lock(hashtextextended('hypertape/known', 0));
    return clock_timestamp();
end
$$;

-- The final bars of one relation as they were known at an instant: those a load had left final by then, and the former
-- values of those that were restated later. A bar that was still open then is not among them; what was fetched of it
-- while it was open is kept nowhere. Of `of_tickers` only (null: all), and only bars in [from_time, to_time).
create or replace function bars_as_of(
    of_market text, of_interval text, instant timestamptz, of_tickers text[],
    from_time timestamptz default '-infinity', to_time timestamptz default 'infinity'
)
returns table (
    ticker text, "time" timestamptz, open float8, high float8, low float8, close float8, volume float8,
    adjusted_close float8, load_id bigint
)
language plpgsql stable as $$
declare
    relation text;
begin
    if of_interval not in ('1m', '1h', '1d') then
        raise exception 'bars_as_of reads stored intervals, not %', of_interval
            using errcode = 'invalid_parameter_value', hint = 'Use 1m, 1h or 1d.';
    end if;
    select format('bars.%I', table_name || '_' || of_interval) into relation from market where market = of_market;
    if relation is null then
        raise exception 'there is no market %', of_market
            using errcode = 'invalid_parameter_value', hint = 'See select market from market.';
    end if;
    return query execute format(
        $query$
        select bar.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close, bar.load_id
        from %s as bar left join load on load.load_id = bar.load_id
        where bar.time >= $4 and bar.time < $5 %s
            and case
                when load.load_id is null then true
                when load.loaded_at > $1 then false
                when load.provisional_from is null or bar.time < load.provisional_from then true
                when exists (
                    select from series
                    where series.market = $2 and series.interval = $3 and series.ticker = bar.ticker
                        and series.provisional_time = bar.time
                ) then false
                else coalesce(
                    (
                        select min(finalising.loaded_at) from load as finalising
                        where finalising.market = $2 and finalising.interval = $3 and finalising.ticker = bar.ticker
                            and finalising.finalised = bar.time and finalising.load_id > load.load_id
                    ) <= $1,
                    true
                )
            end
        union all
        select ticker, time, open, high, low, close, volume, adjusted_close, load_id
        from bar_revision as bar
        where market = $2 and interval = $3 and valid_from <= $1 and valid_to > $1
            and bar.time >= $4 and bar.time < $5 %s
        $query$,
        relation,
        case when of_tickers is not null then 'and bar.ticker = any($6)' end,
        case when of_tickers is not null then 'and bar.ticker = any($6)' end
    ) using instant, of_market, of_interval, from_time, to_time, of_tickers;
end
$$;

create or replace function bars_as_of(of_market text, of_interval text, instant timestamptz)
returns table (
    ticker text, "time" timestamptz, open float8, high float8, low float8, close float8, volume float8,
    adjusted_close float8, load_id bigint
)
language sql stable as $$ select * from bars_as_of(of_market, of_interval, instant, null) $$;
