-- purpose: when each part of the rollups was proven last
select market, interval, part, proved_at from proof where kind = 'rollup'
