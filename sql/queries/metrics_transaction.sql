-- purpose: a part of the metrics only reads, and gives up in time
-- parameters: milliseconds
select set_config('transaction_read_only', 'on', true), set_config('statement_timeout', %(milliseconds)s, true)
