-- purpose: how many ranges of ticks wait for a refresh, and since when
select count(*), min(noted_at) from tick_pending
