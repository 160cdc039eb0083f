-- purpose: wait until every load that noted nothing for a mirror about to be added is stored, and keep others waiting
lock table mirror_outbox in share row exclusive mode
