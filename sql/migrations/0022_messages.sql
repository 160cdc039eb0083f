-- Messages to channels: written when they are due, sent until the channel has taken them.
create table message (
    message_id bigint generated always as identity primary key,
    channel text not null,
    event text not null check (event in ('opened', 'closed', 'digest', 'alert')),
    finding_id bigint,
    cause text not null,
    title text not null,
    body text not null,
    made_at timestamptz not null,
    tries int not null default 0,
    last_error text,
    sent_at timestamptz
);
create unique index message_once on message (channel, event, finding_id) where finding_id is not null;
create index message_waiting on message (channel, message_id) where sent_at is null;
create index message_alerts on message (channel, cause, made_at) where finding_id is null;
comment on table message is 'What was said to whom about which finding. Unsent ones wait for their channel; a cause is told once when it opens and once when it closes.';
comment on column message.channel is 'Kind and digest of the address in HYPERTAPE_NOTIFY; addresses hold secrets and are not kept.';
