-- purpose: failed tickers since an instant
-- parameters: since
select count(*) from load where status = 'failed' and loaded_at >= %s
