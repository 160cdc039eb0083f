-- purpose: make an empty database to restore into
create database {database} template template0
