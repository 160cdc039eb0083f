-- purpose: whether a planted gap is known
-- parameters: symbol, sequence, source
select exists (
    select from feed_gap where source = %(source)s and symbol = %(symbol)s and last_sequence = %(sequence)s
)
