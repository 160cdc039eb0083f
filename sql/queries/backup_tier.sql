-- purpose: the tier that the schema was built on
select hypertape.server_tier()
