-- purpose: take the next message that waits for a channel, if nobody is sending it another one at this moment. Who asks holds
--   the channel's lock, and commits before it sends
-- parameters: channel, lease
update message
set taken_until = clock_timestamp() + %(lease)s::interval
where message_id = (
        select message_id from message
        where channel = %(channel)s and sent_at is null
        order by message_id
        limit 1
    )
    and not exists (
        select from message as other
        where other.channel = %(channel)s and other.sent_at is null and other.taken_until > clock_timestamp()
    )
returning message_id, title, body
