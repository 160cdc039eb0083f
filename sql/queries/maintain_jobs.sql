-- purpose: the jobs that drop old bars and compress chunks, in the order they are to run; open ones count as never run
select job_id, proc_name, format('%I.%I', hypertable_schema, hypertable_name)
from timescaledb_information.jobs
where proc_name in ('policy_retention', 'policy_compression')
order by proc_name desc, hypertable_schema, hypertable_name, job_id
