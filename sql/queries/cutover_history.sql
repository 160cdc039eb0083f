-- purpose: every cut-over, the newest first
select * from cutover order by cutover_id desc
