-- The three stored intervals of one market: chunks and compression fitted to each width.
create table {bars_1m} (
    ticker text collate "C" not null,
    time timestamptz not null,
    open float8 not null,
    high float8 not null,
    low float8 not null,
    close float8 not null,
    volume float8 not null,
    adjusted_close float8,
    ma10 float8,
    ma20 float8,
    ma50 float8,
    ma100 float8,
    ma200 float8,
    previous_close float8,
    previous_volume float8,
    load_id bigint not null,
    primary key (ticker, time),
    check (low <= high and volume >= 0)
);
create table {bars_1h} (like {bars_1m} including all);
create table {bars_1d} (like {bars_1m} including all);

select hypertape.create_bars({name_1m}, interval '7 days');
select hypertape.create_bars({name_1h}, interval '3 months');
select hypertape.create_bars({name_1d}, interval '1 year');

select hypertape.compress_bars({name_1m}, interval '7 days');
select hypertape.compress_bars({name_1h}, interval '90 days');
select hypertape.compress_bars({name_1d}, interval '90 days');
