-- purpose: let the rows of a table that speak of a ticker speak of it under another name
-- parameters: {table}, {condition}; market, old, new
update {table} set ticker = %(new)s where ticker = %(old)s and {condition}
