-- Which tickers a group had when: an index of 2020 can be read as of 2020.
create table group_member (
    market text not null,
    group_name text not null,
    ticker text collate "C" not null,
    valid_from date not null default '-infinity',
    valid_to date not null default 'infinity' check (valid_to > valid_from),
    primary key (market, group_name, ticker, valid_from)
);
comment on table group_member is 'The ticker is in the group from valid_from to before valid_to. What the market''s list says is kept up to date by schema apply.';
