-- purpose: rows with NaN or an infinity; NaN sorts above every number in PostgreSQL, so one comparison finds both
select ticker, time, open, high, low, close, volume from bar
where not greatest(abs(open), abs(high), abs(low), abs(close), abs(volume)) < 'infinity'
