-- purpose: whether a role may refresh the rollups of an owner
-- parameters: role, owner
select pg_has_role(%s, %s, 'member')
