-- purpose: remove a database, ending who uses it
drop database if exists {database} with (force)
