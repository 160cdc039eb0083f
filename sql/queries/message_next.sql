-- purpose: the next message that waits for a channel, held while it is sent
-- parameters: channel, after (message id)
select message_id, title, body
from message
where channel = %(channel)s and sent_at is null and message_id > %(after)s
order by message_id
limit 1
for update skip locked
