-- purpose: hosts of living workers whose clocks are off, with how far ahead of the database's each is
-- parameters: tolerance
select hostname, max(ahead) as ahead
from worker_heartbeat
where last_heartbeat > '-infinity' and abs(extract(epoch from ahead)) > extract(epoch from %s::interval)
group by hostname
order by hostname
