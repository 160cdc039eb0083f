-- purpose: background jobs of the database whose newest run failed
select job, relation, failed_at, failures from hypertape.failed_jobs() order by job
