-- purpose: write a message down, once for each event of a finding
-- parameters: channel, event, finding, cause, title, body, now
insert into message (channel, event, finding_id, cause, title, body, made_at)
values (%(channel)s, %(event)s, %(finding)s, %(cause)s, %(title)s, %(body)s, %(now)s)
on conflict (channel, event, finding_id) where finding_id is not null do nothing
