-- purpose: let no job of TimescaleDB change what is to be compared; returns those that would have run
select job_id
from (select job_id as job from timescaledb_information.jobs where scheduled) as running
cross join lateral public.alter_job(job, scheduled => false)
