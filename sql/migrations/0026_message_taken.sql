-- Messages are sent with no transaction open: who sends one takes it first.
alter table message add column taken_until timestamptz;
comment on column message.taken_until is 'Somebody is sending it, until then at most (the database''s clock); who died in between sends it again.';
