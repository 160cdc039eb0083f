-- purpose: put an open finding out of the way until it changes or its time is up
-- parameters: finding, now, by, until (null: no end), reason
update finding
set
    acknowledged_at = %(now)s, acknowledged_by = %(by)s, acknowledged_until = %(until)s, acknowledged_reason = %(reason)s,
    acknowledged_fingerprint = fingerprint
where finding_id = %(finding)s and closed_at is null
returning finding_id
