-- purpose: note what a feed missed; what is known of it is completed
-- parameters: source, symbol, reason, start, end, last sequence, first sequence
insert into feed_gap as known (source, symbol, reason, start_time, end_time, last_sequence, first_sequence)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict (source, symbol, reason, start_time, last_sequence) do update
set end_time = coalesce(excluded.end_time, known.end_time), first_sequence = coalesce(excluded.first_sequence, known.first_sequence)
