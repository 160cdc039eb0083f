-- purpose: wait until every load that has noted what it changed is stored, and keep others waiting, while notes of a
--   mirror are written or removed as a whole
lock table mirror_outbox in share row exclusive mode
