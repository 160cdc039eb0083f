-- Who may use the stand-alone read API.
create table api_key (
    key_id text primary key check (key_id ~ '^[0-9a-f]{12}$'),
    digest bytea not null check (octet_length(digest) = 32),
    name text not null check (name <> ''),
    role text not null check (role in ('read', 'write')),
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz
);
comment on table api_key is 'Keys of the stand-alone API. The key itself is shown once and kept nowhere.';
comment on column api_key.key_id is 'The public part of the key: what logs and lists show.';
comment on column api_key.digest is 'SHA-256 of the secret part, 256 random bits: nobody guesses it, so no slow hash is needed.';
