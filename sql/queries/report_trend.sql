-- purpose: failed checks and quarantined rows of each market, interval and day (UTC)
-- parameters: since, markets (array; null for all)
select
    market, interval, day, sum(critical)::bigint as critical, sum(warnings)::bigint as warnings,
    sum(broken)::bigint as broken, sum(checks)::bigint as checks, sum(quarantined)::bigint as quarantined
from (
    select
        market, interval, (checked_at at time zone 'UTC')::date as day,
        count(*) filter (where status = 'failed' and severity = 'critical') as critical,
        count(*) filter (where status = 'failed' and severity = 'warning') as warnings,
        count(*) filter (where error is not null) as broken, count(*) as checks, 0 as quarantined
    from public.quality_result
    where checked_at >= %(since)s
    group by 1, 2, 3
    union all
    select market, interval, (quarantined_at at time zone 'UTC')::date, 0, 0, 0, 0, count(*)
    from public.quarantine
    where quarantined_at >= %(since)s
    group by 1, 2, 3
) as counted
where %(markets)s::text[] is null or market = any(%(markets)s::text[])
group by market, interval, day
order by market, interval, day
