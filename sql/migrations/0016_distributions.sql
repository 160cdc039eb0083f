-- Distributions of another kind than dividends, and actions that cannot be meant as they stand.

create table capital_gains (
    market text not null,
    ticker text collate "C" not null,
    time timestamptz not null,
    amount float8 not null,
    load_id bigint,
    source text,
    withdrawn_at timestamptz,
    withdrawn_run text,
    primary key (market, ticker, time)
);
select hypertape.create_bars('capital_gains', interval '1 year');
comment on table capital_gains is 'What funds pay out of their gains, in cash per share: closes fall by it as by a dividend.';
comment on column capital_gains.source is 'Whose word it is. Null: nobody''s that is known; the first answer that has it takes it over.';
comment on column capital_gains.withdrawn_at is 'Since when its source no longer reports it: it counts for nothing then.';

alter table action_change drop constraint action_change_kind_check, drop constraint action_change_change_check;
alter table action_change add constraint action_change_kind_check check (kind in ('dividend', 'capital_gain', 'split'));
alter table action_change add constraint action_change_change_check
    check (change in ('changed', 'withdrawn', 'restored', 'refused'));
alter table action_change alter column former drop not null, add column reason text;
comment on table action_change is
    'What vendors changed in actions they had reported (changed, withdrawn, restored), and actions that were not kept (refused).';
comment on column action_change.former is 'The value before. Null: it was refused, and nothing was kept of it.';
comment on column action_change.reason is 'Why it was refused: another currency than the prices'', more than the price, no number.';
