-- purpose: keep what the comparison of a unit found; a unit that differs is to be copied again, from its start
-- parameters: migration_id, unit, source_rows, target_rows, source_digest, target_digest, missing, different, extra, sample
update migration_unit
set source_rows = %(source_rows)s, target_rows = %(target_rows)s, source_digest = %(source_digest)s,
    target_digest = %(target_digest)s, missing = %(missing)s, different = %(different)s, extra = %(extra)s,
    sample = %(sample)s, verdict = case when %(missing)s + %(different)s = 0 then 'equal' else 'different' end,
    state = case when %(missing)s + %(different)s = 0 then state else 'failed' end,
    reached = case when %(missing)s + %(different)s = 0 then reached end,
    error = case
        when %(missing)s + %(different)s = 0 then error
        else format('%%s rows missing and %%s different in the warehouse', %(missing)s, %(different)s)
    end,
    updated_at = clock_timestamp()
where migration_id = %(migration_id)s and unit = %(unit)s
