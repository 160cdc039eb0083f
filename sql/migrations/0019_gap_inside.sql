-- Holes inside sessions are entries of the gap ledger too, and what a series leaves out ordinarily is learned and kept.
alter table gap add column inside boolean not null default false;
comment on column gap.inside is
    'The sessions have bars; these lie between them. start_time is the first missing opening, end_time where the last missing bar ends, bars how many are missing.';
create index gap_inside on gap (market, interval, ticker, start_time) where inside and closed_at is null;

alter table gap_judged add column ordinary int, add column unusual bigint[];
comment on column gap_judged.ordinary is 'So many openings in a row the series commonly has no bar at: a hole is longer. 0: it leaves nothing out. Null: not learned yet.';
comment on column gap_judged.unusual is 'Marks of a session (µs from its first opening) at which the series seldom has a bar: none is missed there.';
