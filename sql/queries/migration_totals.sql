-- purpose: what the units of a migration did, summed up
-- parameters: migration_id
select
    count(*) as units, count(*) filter (where state = 'done') as done,
    count(*) filter (where state = 'failed') as failed, count(*) filter (where attempts = 0) as untouched,
    coalesce(sum(rows_read), 0)::bigint as rows_read, coalesce(sum(inserted), 0)::bigint as inserted,
    coalesce(sum(updated), 0)::bigint as updated, coalesce(sum(unchanged), 0)::bigint as unchanged,
    coalesce(sum(refused), 0)::bigint as refused, coalesce(sum(planned), 0)::bigint as planned,
    count(*) filter (where verdict = 'equal') as equal, count(*) filter (where verdict = 'different') as different,
    coalesce(sum(missing), 0)::bigint as rows_missing, coalesce(sum(different), 0)::bigint as rows_different,
    coalesce(sum(extra), 0)::bigint as rows_extra, coalesce(sum(seconds), 0)::float8 as seconds
from migration_unit
where migration_id = %(migration_id)s
