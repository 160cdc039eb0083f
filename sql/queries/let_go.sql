-- purpose: let the server end the session when the client of this transaction is frozen or gone, and its locks with it
-- parameters: silent (how long the client may say nothing within the transaction: milliseconds, as text)
-- A session has the second one from its begin (PINNED); behind a pooler nobody has set it.
select
    set_config('idle_in_transaction_session_timeout', %(silent)s, true),
    set_config('client_connection_check_interval', '1s', true)
