-- Up to which instant of knowledge each series is published: proved by the checks, and what readers of `published` see.
create schema if not exists published;
comment on schema published is 'The relations of public, with the bars that checks have passed only.';

create table published (
    market text not null,
    interval text not null,
    ticker text collate "C" not null,
    known_at timestamptz not null default '-infinity',
    load_id bigint not null default 0,
    changed_from timestamptz,
    until timestamptz,
    run_id text,
    published_at timestamptz,
    held_at timestamptz,
    held_run text,
    held_by text[],
    primary key (market, interval, ticker)
);
create index on published (market, interval, changed_from) where changed_from is not null;
create index on series (market, interval, provisional_time) where provisional_time is not null;

comment on table published is 'One row per series. Readers of the schema published see it as it was known at known_at.';
comment on column published.load_id is 'The newest load that is part of what was known then.';
comment on column published.changed_from is 'Bars from here on are stored otherwise than they are published; null: what is stored is what is published.';
comment on column published.until is 'End of what is published: the watermark the series had then.';
comment on column published.held_at is 'What was known then did not pass the critical checks held_by, so the series stays where it was; null: nothing holds it.';

alter table quality_result add column known_at timestamptz;
comment on column quality_result.known_at is 'The check saw every load that was known then.';

create table published_session (
    market text not null,
    interval text not null,
    session date not null,
    run_id text not null,
    times int not null default 1,
    announced_by text,
    published_at timestamptz not null default clock_timestamp(),
    primary key (market, interval, session)
);
comment on table published_session is 'Sessions whose bars are complete and published, the run that said so last, and how often: more than once where one was restated.';
comment on column published_session.announced_by is 'The run whose asset events told of it; null: nobody has been told.';

-- What is stored when this comes is published: nobody has held it back.
insert into published (market, interval, ticker, known_at, load_id, until, run_id, published_at)
select
    market, interval, ticker, clock_timestamp(), coalesce((select max(load_id) from load), 0), watermark, 'upgrade', clock_timestamp()
from series;

insert into published_session (market, interval, session, run_id, announced_by)
select span.market, span.interval, trading_session.session, 'upgrade', 'upgrade'
from (
    select market, interval, min(first_time) as first_time, max(watermark) as watermark from series group by market, interval
) as span
join trading_session
    on trading_session.market = span.market and trading_session.closes_at > span.first_time
    and trading_session.closes_at <= span.watermark;
