-- purpose: dead letters in the order they came
-- parameters: source (null: all), replayed (also those stored since), after (letter id), limit
select letter_id, kind, source, record, error, times, first_at, last_at, replayed_at
from dead_letter
where letter_id > %(after)s
    and (%(source)s::text is null or source = %(source)s)
    and (%(replayed)s or replayed_at is null)
order by letter_id
limit %(limit)s
