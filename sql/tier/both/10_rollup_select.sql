-- The one text every rollup is made of, on both tiers. Buckets start on Monday 2000-01-03 00:00 UTC and its multiples;
-- months are calendar months. `source` is a relation or a parenthesised select.
create or replace function hypertape.rollup_select(source text, width interval) returns text
language sql immutable
return format(
    'select ticker, time_bucket(interval %L, time, timestamptz %L) as time, '
    'first(open, time) as open, max(high) as high, min(low) as low, last(close, time) as close, sum(volume) as volume '
    'from %s as bar group by 1, 2',
    width,
    case when extract(year from width) * 12 + extract(month from width) > 0 then '2000-01-01 00:00:00+00' else '2000-01-03 00:00:00+00' end,
    source
);
