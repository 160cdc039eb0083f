-- purpose: give a database another name
alter database {old} rename to {new}
