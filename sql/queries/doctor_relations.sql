-- purpose: names that lack their stored relation or their public view
-- parameters: relation names
select coalesce(array_agg(name), '{}')
from unnest(%s::text[]) as declared (name)
where to_regclass('bars.' || name) is null or to_regclass('public.' || name) is null
