-- purpose: how many dead letters came or came again since an instant
-- parameters: since
select count(*) from dead_letter where last_at >= %s and replayed_at is null
