-- purpose: let jobs run again that a restore silenced
select public.alter_job(job_id, scheduled => true) from unnest(%s::int[]) as job_id
