-- purpose: run one job now (outside a transaction)
-- parameters: job_id
call public.run_job(%s)
