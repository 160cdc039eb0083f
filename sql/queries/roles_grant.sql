-- purpose: grant the writer and the reader what they lack
-- parameters: writer, reader
select hypertape.grant_roles(%s, %s)
