-- purpose: the present by the clock that all hosts share
select clock_timestamp()
