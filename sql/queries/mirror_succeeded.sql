-- purpose: record that a mirror received everything that could be delivered
-- parameters: now, mirror
update mirror set delivered_at = %s, failing_since = null, last_error = null where mirror = %s
