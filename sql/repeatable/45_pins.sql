-- Where the block of a pinned series begins that an instant lies in: blocks hold some thousand bars.
create or replace function hypertape.pin_block_of(of_interval text, at timestamptz) returns timestamptz
language sql immutable parallel safe
return case
    when not isfinite(at) then at
    else date_trunc(case of_interval when '1m' then 'month' when '1h' then 'year' else 'decade' end, at, 'UTC')
end;

-- The blocks of some series as they were known at an instant, from that of from_time to that of to_time: bars, and md5 over
-- their times and the bits of their numbers.
create or replace function hypertape.pin_blocks(
    of_market text, of_interval text, instant timestamptz, of_tickers text[],
    from_time timestamptz default '-infinity', to_time timestamptz default 'infinity'
)
returns table (ticker text, starts_at timestamptz, bars int, digest text)
language sql stable as $$
    select
        bar.ticker, hypertape.pin_block_of(of_interval, bar.time), count(*)::int,
        md5(
            string_agg(
                timestamptz_send(bar.time) || float8send(bar.open) || float8send(bar.high) || float8send(bar.low)
                || float8send(bar.close) || float8send(bar.volume) || coalesce(float8send(bar.adjusted_close), ''::bytea),
                ''::bytea order by bar.time
            )
        )
    from bars_as_of(
        of_market, of_interval, instant, of_tickers,
        hypertape.pin_block_of(of_interval, from_time),
        case
            when isfinite(to_time) then
                hypertape.pin_block_of(of_interval, to_time)
                + case of_interval when '1m' then interval '1 month' when '1h' then interval '1 year' else interval '10 years' end
            else to_time
        end
    ) as bar
    group by 1, 2
$$;

-- What of a pin no longer reads as it did, of some tickers (null: all) and only in blocks that reach into the window.
create or replace function hypertape.pin_lost(
    of_name text, of_interval text, of_tickers text[] default null,
    from_time timestamptz default '-infinity', to_time timestamptz default 'infinity'
)
returns table (ticker text, starts_at timestamptz, bars_pinned int, bars_now int)
language sql stable as $$
    with pinned as (
        select symbol as ticker, block.starts_at, block.bars, block.digest
        from pin_block as block
        where block.name = of_name and block.width = of_interval and (of_tickers is null or symbol = any(of_tickers))
            and block.starts_at >= hypertape.pin_block_of(of_interval, from_time) and block.starts_at < to_time
    ),
    present as (
        select block.* from pin cross join lateral hypertape.pin_blocks(
            pin.market, of_interval, pin.known_at,
            (
                select coalesce(array_agg(distinct symbol), '{}') from pin_block
                where pin_block.name = of_name and width = of_interval and (of_tickers is null or symbol = any(of_tickers))
            ),
            from_time, to_time
        ) as block
        where pin.name = of_name and block.starts_at < to_time
    )
    select ticker, starts_at, coalesce(pinned.bars, 0), coalesce(present.bars, 0)
    from pinned full join present using (ticker, starts_at)
    where (pinned.bars, pinned.digest) is distinct from (present.bars, present.digest)
$$;

-- The bars of a pin: the same bits for ever, or an error that says what is gone. Of some tickers (null: all of the pin) and
-- only those in [from_time, to_time).
create or replace function bars_pinned(
    of_name text, of_interval text, of_tickers text[] default null,
    from_time timestamptz default '-infinity', to_time timestamptz default 'infinity'
)
returns table (
    ticker text, "time" timestamptz, open float8, high float8, low float8, close float8, volume float8, adjusted_close float8
)
language plpgsql stable as $$
declare
    known pin;
    lost text;
    universe text[];
begin
    select * into known from pin where pin.name = of_name;
    if known.name is null then
        raise exception 'there is no pin %', of_name
            using errcode = 'HT003', hint = 'See `hypertape pin list`.';
    elsif not of_interval = any(known.intervals) then
        raise exception 'pin % has no % bars, but %', of_name, of_interval, array_to_string(known.intervals, ', ')
            using errcode = 'HT003', hint = 'Ask for one of these.';
    end if;
    select array_agg(distinct symbol) into universe from pin_block
    where pin_block.name = of_name and width = of_interval and (of_tickers is null or symbol = any(of_tickers));
    select string_agg(
        format('%s %s from %s on: %s bars pinned, %s now', found.ticker, of_interval, found.starts_at::date, found.bars_pinned, found.bars_now),
        '; ' order by found.ticker, found.starts_at
    )
    into lost
    from (
        select * from hypertape.pin_lost(of_name, of_interval, coalesce(universe, '{}'), from_time, to_time)
        order by 1, 2 limit 5
    ) as found;
    if lost is not null then
        raise exception 'pin % no longer reads as it did: %', of_name, lost
            using errcode = 'HT002', hint = 'What is gone is gone; make a new pin. `hypertape pin verify` lists all of it.';
    end if;
    return query
    select bar.ticker, bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.adjusted_close
    from bars_as_of(known.market, of_interval, known.known_at, coalesce(universe, '{}'), from_time, to_time) as bar;
end
$$;
