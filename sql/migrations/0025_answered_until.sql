-- How far a source's answer reaches: one that lags behind has said nothing of the sessions after its last row.
alter table load add column answered_until timestamptz;
comment on column load.answered_until is 'How far the answer reaches: no watermark goes beyond. Null: to the end of the window.';
