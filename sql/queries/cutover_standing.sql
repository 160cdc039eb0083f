-- purpose: the cut-over that stands
select * from cutover order by cutover_id desc limit 1
