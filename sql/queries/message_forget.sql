-- purpose: drop messages that were sent long ago, and those of channels that are named no more
-- parameters: before
delete from message where made_at < %(before)s and (sent_at is not null or finding_id is null)
