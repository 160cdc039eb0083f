-- purpose: keep group_member in step with the market's list: who is new begins today (with a first list: always was), who
--   is gone ends today. What was given with dates by hand is left where it agrees
-- parameters: market; arrays of group and ticker; today
with listed as (
    select distinct group_name, ticker from unnest(%(groups)s::text[], %(tickers)s::text[]) as given (group_name, ticker)
    where group_name is not null and group_name <> ''
),
gone as (
    update group_member as kept set valid_to = greatest(%(today)s, valid_from + 1)
    where kept.market = %(market)s and kept.valid_to = 'infinity'
        and kept.group_name in (select group_name from listed)
        and not exists (
            select from listed where listed.group_name = kept.group_name and listed.ticker = kept.ticker
        )
        and not exists (
            select from listed join symbol_alias as alias on alias.symbol = listed.ticker
            where listed.group_name = kept.group_name and alias.market = kept.market and alias.vendor = 'hypertape'
                and alias.ticker = kept.ticker
        )
)
insert into group_member (market, group_name, ticker, valid_from)
select
    %(market)s, listed.group_name, coalesce(alias.ticker, listed.ticker),
    case
        when exists (
            select from group_member as any_ where any_.market = %(market)s and any_.group_name = listed.group_name
        ) then %(today)s else '-infinity'::date
    end
from listed
left join symbol_alias as alias
    on alias.market = %(market)s and alias.vendor = 'hypertape' and alias.symbol = listed.ticker
where not exists (
    select from group_member as kept
    where kept.market = %(market)s and kept.group_name = listed.group_name
        and kept.ticker = coalesce(alias.ticker, listed.ticker) and kept.valid_to = 'infinity'
)
on conflict do nothing
