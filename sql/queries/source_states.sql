-- purpose: what is known of every source that was asked, or of one; seconds until it is asked again where it is left alone
-- parameters: pause (seconds it is left alone); source or null
select
    source, state, failures, opened_at, last_ok_at, last_failed_at, last_error,
    extract(epoch from greatest(next_turn, moment) - moment)::float8 as seconds_to_turn,
    case
        when state = 'closed' then 0
        else greatest(
            0,
            extract(epoch from coalesce(probed_at, opened_at) + make_interval(secs => %(pause)s) - moment)
        )
    end::float8 as seconds_to_trial
from source_state
cross join (select clock_timestamp() as moment) as now
where source = %(source)s or %(source)s::text is null
order by source
