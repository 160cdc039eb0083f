-- Dividends, capital gains and splits as one list, those that their source withdrew too.
create or replace view corporate_actions as
select market, ticker, time, 'dividend' as kind, amount as value, source, withdrawn_at, withdrawn_run from dividends
union all
select market, ticker, time, 'capital_gain', amount, source, withdrawn_at, withdrawn_run from capital_gains
union all
select market, ticker, time, 'split', ratio, source, withdrawn_at, withdrawn_run from splits;
comment on view corporate_actions is
    'What happened to a share: cash paid per share (dividend, capital_gain) or new shares for one old share (split), at 00:00 UTC of the ex-date.';
