-- purpose: channels that did not take a message when it was last tried
select channel, count(*) as waiting, min(made_at) as since, (array_agg(last_error order by message_id desc))[1] as error
from message
where sent_at is null and tries > 0
group by channel
order by channel
