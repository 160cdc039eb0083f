-- purpose: take about eight megabytes of the database's disk; fails with 53100 where there is no room, rolled back else
create temporary table doctor_room on commit drop as
select md5(line::text) as filling from generate_series(1, 130000) as line
