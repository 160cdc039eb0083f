-- purpose: take an acknowledgement back
-- parameters: finding
update finding
set
    acknowledged_at = null, acknowledged_by = null, acknowledged_until = null, acknowledged_reason = null,
    acknowledged_fingerprint = null
where finding_id = %(finding)s and closed_at is null
returning finding_id
