-- purpose: remove refused rows that were settled long ago
-- parameters: before
delete from quarantine where released_at < %s
