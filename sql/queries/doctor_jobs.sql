-- purpose: background jobs of the database whose newest run failed, the newest failure first
select job, relation, failed_at, failures from hypertape.failed_jobs() order by failed_at desc, job
