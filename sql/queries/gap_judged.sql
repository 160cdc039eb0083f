-- purpose: note which span of each series was held against the calendar
-- parameters: market, interval; arrays of ticker, judged_from, judged_to
insert into gap_judged as kept (market, interval, ticker, judged_from, judged_to)
select %s, %s, given.*
from unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) as given (ticker, judged_from, judged_to)
on conflict (market, interval, ticker) do update
set judged_from = excluded.judged_from, judged_to = excluded.judged_to
where (kept.judged_from, kept.judged_to) is distinct from (excluded.judged_from, excluded.judged_to)
