-- What a copy has read of a unit, digested on the way: its proof reads the warehouse alone where these agree.
alter table migration_unit
    add column adjusted_rows bigint,
    add column adjusted_digest text,
    add column refused_rules jsonb not null default '{}';
comment on column migration_unit.source_digest is 'Over the bars that pass the gate; noted by the copy where it read the unit in one go, else by its verification.';
comment on column migration_unit.adjusted_digest is 'Over the adjusted closes there are, as the copy read them.';
comment on column migration_unit.refused_rules is 'Rows of the unit that cannot be what their table holds, by rule.';
