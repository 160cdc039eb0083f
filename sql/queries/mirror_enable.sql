-- purpose: deliver to a mirror, or stop delivering
-- parameters: enabled, mirror
update mirror set enabled = %s where mirror = %s
