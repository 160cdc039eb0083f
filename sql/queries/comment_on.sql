-- purpose: give a table, view or column its comment
-- placeholders: what (table, view, materialized view, column), name, text
comment on {what} {name} is {text}
