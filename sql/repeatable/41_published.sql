-- What a rollup stands on and how wide its bars are; no row for a stored interval.
create or replace function hypertape.rollup_base(of_interval text)
returns table (finer text, width interval)
language sql immutable parallel safe as $$
    select finer, width
    from (
        values
        ('5m', '1m', interval '5 minutes'), ('15m', '5m', interval '15 minutes'), ('30m', '15m', interval '30 minutes'),
        ('1w', '1d', interval '7 days'), ('2w', '1w', interval '14 days'), ('1mo', '1d', interval '1 month')
    ) as known (derived, finer, width)
    where derived = of_interval
$$;

-- The opening of the bucket of a rollup that an instant lies in (see hypertape.rollup_select for the origins).
create or replace function hypertape.bucket_of(width interval, at timestamptz) returns timestamptz
language sql immutable parallel safe
return case
    when not isfinite(at) then at
    else time_bucket(
        width, at,
        case when extract(month from width) > 0 then timestamptz '2000-01-01 00:00:00+00' else timestamptz '2000-01-03 00:00:00+00' end
    )
end;

-- From where on the rollups of a series are not those of what is published: its bars changed since, or one is still open.
create or replace view hypertape.unsettled as
select market, interval, ticker, min(since) as since
from (
    select market, interval, ticker, changed_from as since from published where changed_from is not null
    union all
    select market, interval, ticker, provisional_time from series where provisional_time is not null
) as found
group by market, interval, ticker;

-- The bars of one series from `since` on as they were known at an instant, with the averages and previous values they had
-- then: the sums are the same tree of additions as in hypertape.indicators, so they have the same bits. Before `since` what
-- is stored is what was known.
create or replace function hypertape.bars_behind(
    of_market text, of_interval text, of_ticker text, instant timestamptz, since timestamptz, to_time timestamptz default 'infinity'
)
returns table (
    "time" timestamptz, open float8, high float8, low float8, close float8, volume float8, adjusted_close float8,
    ma10 float8, ma20 float8, ma50 float8, ma100 float8, ma200 float8, previous_close float8, previous_volume float8, load_id bigint
)
language plpgsql stable rows 100 as $$
declare
    relation text;
    lookback timestamptz;
begin
    select format('bars.%I', table_name || '_' || of_interval) into relation from market where market = of_market;
    execute format('select bar.time from %s as bar where bar.ticker = $1 and bar.time < $2 order by bar.time desc offset 198 limit 1', relation)
    into lookback using of_ticker, since;
    return query
    with bar as (
        select * from bars_as_of(of_market, of_interval, instant, array[of_ticker], coalesce(lookback, '-infinity'), to_time)
    ),
    of_2 as (
        select
            *, bar.close + lag(bar.close, 1) over series as s2,
            lag(bar.close) over series as before_close, lag(bar.volume) over series as before_volume
        from bar window series as (order by bar.time)
    ),
    of_4 as (select *, s2 + lag(s2, 2) over (order by of_2.time) as s4 from of_2),
    of_8 as (select *, s4 + lag(s4, 4) over (order by of_4.time) as s8 from of_4),
    of_10 as (select *, s8 + lag(s2, 8) over (order by of_8.time) as s10 from of_8),
    of_20 as (select *, s10 + lag(s10, 10) over (order by of_10.time) as s20 from of_10),
    of_40 as (select *, s20 + lag(s20, 20) over (order by of_20.time) as s40 from of_20),
    of_50 as (select *, s40 + lag(s10, 40) over (order by of_40.time) as s50 from of_40),
    of_100 as (select *, s50 + lag(s50, 50) over (order by of_50.time) as s100 from of_50),
    of_200 as (select *, s100 + lag(s100, 100) over (order by of_100.time) as s200 from of_100)
    select
        made.time, made.open, made.high, made.low, made.close, made.volume, made.adjusted_close,
        s10 / 10, s20 / 20, s50 / 50, s100 / 100, s200 / 200, before_close, before_volume, made.load_id
    from of_200 as made
    where made.time >= since
    order by made.time;
end
$$;

-- The buckets of a rollup of one series from that of `since` on, made of what is published of the interval it stands on.
create or replace function hypertape.rollup_behind(of_market text, of_interval text, of_ticker text, since timestamptz)
returns table ("time" timestamptz, open float8, high float8, low float8, close float8, volume float8)
language plpgsql stable rows 100 as $$
declare
    source text;
    width interval;
begin
    select
        format(
            '(select ticker, time, open, high, low, close, volume from published.%I where ticker = %L and time >= %L order by time)',
            table_name || '_' || base.finer, of_ticker, hypertape.bucket_of(base.width, since)
        ),
        base.width
    into source, width
    from market cross join hypertape.rollup_base(of_interval) as base
    where market = of_market;
    return query execute format(
        'select time, open, high, low, close, volume from (%s) as bucket order by time', hypertape.rollup_select(source, width)
    );
end
$$;

-- Bars of which checks have passed everything, as public has them: of some tickers (null: all) and only those in
-- [from_time, to_time). Bars of derived intervals have no adjusted close and no averages.
create or replace function bars_published(
    of_market text, of_interval text, of_tickers text[] default null,
    from_time timestamptz default '-infinity', to_time timestamptz default 'infinity'
)
returns table (
    ticker text, "time" timestamptz, open float8, high float8, low float8, close float8, volume float8,
    adjusted_close float8, ma10 float8, ma20 float8, ma50 float8, ma100 float8, ma200 float8
)
language plpgsql stable as $$
declare
    relation text;
begin
    select format('published.%I', table_name || '_' || of_interval) into relation from market where market = of_market;
    if relation is null then
        raise exception 'there is no market %', of_market
            using errcode = 'invalid_parameter_value', hint = 'See select market from market.';
    elsif to_regclass(relation) is null then
        raise exception 'there is no interval %', of_interval
            using errcode = 'invalid_parameter_value', hint = 'Use 1m, 5m, 15m, 30m, 1h, 1d, 1w, 2w or 1mo.';
    end if;
    return query execute format(
        'select bar.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, %s from %s as bar '
        'where bar.time >= $1 and bar.time < $2 %s',
        case
            when of_interval in ('1m', '1h', '1d')
            then 'bar.adjusted_close, bar.ma10, bar.ma20, bar.ma50, bar.ma100, bar.ma200'
            else 'null::float8, null::float8, null::float8, null::float8, null::float8, null::float8'
        end,
        relation,
        case when of_tickers is not null then 'and bar.ticker = any($3)' end
    ) using from_time, to_time, of_tickers;
end
$$;
