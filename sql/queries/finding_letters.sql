-- purpose: what feeds delivered and nobody could store, by feed
select source, kind, count(*) as letters, min(first_at) as since, (array_agg(error order by last_at desc))[1] as error
from dead_letter
where replayed_at is null
group by source, kind
order by source, kind
