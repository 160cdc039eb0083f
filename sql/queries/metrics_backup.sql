-- purpose: the newest backup that is not removed: when and how fast it was made, its size, and when one was last verified whole
-- parameters: none
select
    max(made_at) as made_at, max(verified_at) filter (where verdict = 'whole') as verified_at,
    (array_agg(bytes order by made_at desc))[1] as bytes, (array_agg(seconds order by made_at desc))[1] as seconds
from backup
where removed_at is null
