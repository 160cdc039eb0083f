-- purpose: whether a channel was told of a cause that is no finding since an instant
-- parameters: channel, event, cause, since
select exists (
    select from message
    where channel = %(channel)s and event = %(event)s and cause = %(cause)s and made_at >= %(since)s and finding_id is null
)
