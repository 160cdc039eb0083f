-- purpose: refused rows that were not released
select count(*) from quarantine where released_at is null
