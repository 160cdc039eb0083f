-- Corporate actions a vendor took back, and checks that had nothing to look at.

alter table dividends add column source text, add column withdrawn_at timestamptz, add column withdrawn_run text;
alter table splits add column source text, add column withdrawn_at timestamptz, add column withdrawn_run text;
comment on column dividends.source is 'Whose word it is. Null: nobody''s that is known; the first answer that has it takes it over.';
comment on column dividends.withdrawn_at is 'Since when its source no longer reports it: it counts for nothing then.';
comment on column splits.source is 'Whose word it is. Null: nobody''s that is known; the first answer that has it takes it over.';
comment on column splits.withdrawn_at is 'Since when its source no longer reports it: it counts for nothing then.';

create table action_change (
    change_id bigint generated always as identity primary key,
    kind text not null check (kind in ('dividend', 'split')),
    market text not null,
    ticker text collate "C" not null,
    time timestamptz not null,
    change text not null check (change in ('changed', 'withdrawn', 'restored')),
    former float8 not null,
    value float8 not null,
    source text,
    run_id text,
    changed_at timestamptz not null
);
create index on action_change (market, ticker, time);
comment on table action_change is 'What vendors changed in dividends and splits they had reported: every value changed, withdrawn, restored.';

-- Actions of tickers that only ever had one source which reports actions at all are that source's.
create temporary table of_one_source as
select market, ticker, min(source) as source from load where status = 'loaded'
group by market, ticker having count(distinct source) = 1 and min(source) in ('yahoo', 'sample');
update dividends set source = known.source from of_one_source as known
where dividends.market = known.market and dividends.ticker = known.ticker;
update splits set source = known.source from of_one_source as known
where splits.market = known.market and splits.ticker = known.ticker;
drop table of_one_source;

comment on column load.calls is 'Its share of the requests that the source takes for its batch: the sum over a batch is right.';

alter table quality_result drop constraint quality_result_status_check;
alter table quality_result add constraint quality_result_status_check
    check (status in ('passed', 'failed', 'broken', 'not_evaluated'));
comment on column quality_result.status is
    'broken: the rule itself did not run; not_evaluated: there was nothing to look at. Neither says anything about the data.';
