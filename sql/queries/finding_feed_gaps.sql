-- purpose: open gaps of feeds, by feed; ticks: how many numbers are missing, where the ends are known
select
    source, count(*) as gaps, min(start_time) as since, count(*) filter (where end_time is null) as lasting,
    array_agg(distinct reason order by reason) as reasons,
    coalesce(sum(first_sequence - last_sequence - 1) filter (where reason = 'sequence'), 0)::bigint as ticks
from feed_gap
where closed_at is null
group by source
order by source
