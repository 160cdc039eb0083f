-- Who calls a ticker what, and when: the spellings of vendors, and under which name we had it before.
create table symbol_alias (
    market text not null,
    ticker text collate "C" not null,
    vendor text not null,
    symbol text collate "C" not null,
    valid_from date not null default '-infinity',
    valid_to date not null default 'infinity' check (valid_to > valid_from),
    primary key (market, vendor, symbol, valid_from)
);
create index on symbol_alias (market, ticker);
comment on table symbol_alias is 'A vendor calls the ticker symbol from valid_from to before valid_to. Vendor hypertape: so we called it; its series goes on under ticker.';
