-- Restatements that a source did not answer in full, and series that another source served in its place for a while.
alter table restatement
    drop constraint restatement_state_check,
    add constraint restatement_state_check check (
        state in ('suspected', 'confirmed', 'local', 'reread', 'partial', 'disputed', 'answered')
    ),
    add column stand_in text,
    add column unread int,
    add column tries int not null default 0,
    add column tried_at timestamptz;
create unique index on restatement (market, interval, ticker) where state = 'disputed';
comment on table restatement is 'Changes of final bars by the vendor that gave them: suspected when a load changes some, then local (no other bar differs) or confirmed (others do), and reread when the whole history was loaded again, or partial where the vendor no longer answers for all of it. At most one of a series is open. disputed: another source stood in for this one, and this one has not been compared since; then answered.';
comment on column restatement.stand_in is 'The source that answered in the place of `source`. Its bars begin at compared_from; `bars` counts the kept bars that it states otherwise.';
comment on column restatement.unread is 'Stored bars of this source that its last answer for the whole history did not hold.';
comment on column restatement.tries is 'Answers in a row that reached no further than those before them.';
comment on column restatement.tried_at is 'When the last of these tries was counted.';
