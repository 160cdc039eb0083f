-- purpose: record why a mirror receives nothing, and since when
-- parameters: now, error, mirror
update mirror set failing_since = coalesce(failing_since, %s), last_error = %s where mirror = %s
