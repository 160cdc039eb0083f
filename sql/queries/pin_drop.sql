-- purpose: remove a pin
-- parameters: name
delete from pin where name = %(name)s
