-- purpose: make an empty database (outside a transaction)
-- parameters: database name
create database {database}
