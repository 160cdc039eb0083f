-- purpose: a table of the dual-write schema, as its document has it
-- parameters: table, names of its two indexes
create table if not exists {table} (
    id integer primary key autoincrement,
    ticker text not null,
    time integer not null,
    open real not null,
    high real not null,
    low real not null,
    close real not null,
    volume integer not null,
    ma10 real, ma20 real, ma50 real, ma100 real, ma200 real,
    ma10_score real, ma20_score real, ma50_score real, ma100_score real, ma200_score real,
    close_changed real, volume_changed real, total_money_changed real,
    created_at integer default (strftime('%s', 'now')),
    updated_at integer default (strftime('%s', 'now')),
    unique (ticker, time)
);
create index if not exists {by_time} on {table} (ticker, time desc);
create unique index if not exists {unique} on {table} (ticker, time);
