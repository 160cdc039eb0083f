-- Pins settings for the transaction at hand, whatever the role, the database or another client of a pooler has set.
select count(set_config(name, value, true)) from unnest(%(names)s::text[], %(values)s::text[]) as setting (name, value)
