-- purpose: series that wait for each mirror, a mirror that has all included
-- parameters: none
select mirror, count(outbox.mirror) as series
from mirror left join mirror_outbox as outbox using (mirror)
group by mirror
order by mirror
