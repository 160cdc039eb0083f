-- purpose: count the scheduled compression and refresh jobs of the bars (TimescaleDB only)
select count(*)
from timescaledb_information.jobs
where proc_name in ('policy_compression', 'policy_refresh_continuous_aggregate') and scheduled
    and hypertable_name not in ('ticks', 'bars_1m')  -- they are no market's, and would stand in for one that is missing
