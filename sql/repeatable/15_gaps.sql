-- Whether a load is an answer of the provider: it said what it has, be it nothing. Another error is none, and a replay of
-- refused rows asked nobody.
create or replace function hypertape.is_answer(one load) returns boolean
language sql immutable parallel safe
return (one.status = 'loaded' or coalesce(one.error_kind, '') in ('NoData', 'UnknownTicker'))
    and one.reason is distinct from 'replay';

-- Whether healing has asked often enough for an open gap. What failed to be fetched was never answered, and never rests.
-- Reasons in `once` rest after one more answer; so does a refused row, unless that answer brought another one.
create or replace function hypertape.gap_rests(one gap, once text[], most int) returns boolean
language sql stable parallel safe
return case
    when one.reason = 'fetch failed' and not one.refused then false
    when one.reason = any(once) then one.attempts >= least(1, most)
    when one.refused and not exists (
        select from quarantine
        where quarantine.run_id = one.healed_run and quarantine.market = one.market
            and quarantine.interval = one.interval and quarantine.ticker = one.ticker
            and quarantine.time >= one.start_time and quarantine.time < one.end_time
    ) then one.attempts >= least(1, most)
    else one.attempts >= most
end;
