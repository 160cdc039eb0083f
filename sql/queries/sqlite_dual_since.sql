-- purpose: a further condition on a dual-write table: rows from an instant on
-- parameters: seconds since 1970 UTC
and time >= ?
