-- purpose: forget a mirror and what it waits for; its files stay
-- parameters: mirror, mirror
with forgotten as (
    delete from mirror_outbox where mirror = %s
)
delete from mirror where mirror = %s
