-- purpose: after the wait for a reserved turn: may the request go now (the instant), or was the source left alone meanwhile,
--   or held beyond the turn, so that another one is to be reserved
-- parameters: source, turn, trial (the instant of our own trial of an open circuit, or null)
select
    clock_timestamp(), state = 'closed' or (state = 'half-open' and probed_at = %(trial)s::timestamptz) as allowed,
    held_until > %(turn)s::timestamptz as held
from source_state
where source = %(source)s
