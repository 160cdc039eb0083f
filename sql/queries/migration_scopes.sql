-- purpose: the markets and intervals a migration touches
-- parameters: migration_id
select distinct market, interval from migration_unit
where migration_id = %s and ticker is not null
order by market, interval
