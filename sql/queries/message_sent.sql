-- purpose: note how sending a message went
-- parameters: message, sent_at (null: it was not taken), error
update message
set sent_at = %(sent_at)s, tries = tries + 1, last_error = %(error)s, taken_until = null
where message_id = %(message)s
