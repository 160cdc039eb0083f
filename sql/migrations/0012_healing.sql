-- Healing that counts answers only, refused rows told apart in the ledger, and waiters of a source that can be held.
alter table source_state add column held_until timestamptz not null default '-infinity';
comment on column source_state.held_until is
    'The vendor asked to be left alone until then (Retry-After). A turn before it is void, also one reserved earlier.';

alter table gap add column refused boolean not null
    generated always as (reason = 'fetch failed' and coalesce(detail, '') like 'refused: %') stored;
comment on column gap.refused is 'The row arrived and broke a rule: it waits in quarantine. Else a failed load is behind "fetch failed".';
comment on column gap.attempts is
    'How many times healing asked and was answered without the bars; a failed request does not count. last_checked_at says when it last asked, healed_run in which run.';
