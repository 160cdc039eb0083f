-- purpose: a cell of a SQLite table as a literal that says its type: text as T and its bytes, the rest as quote() has it
-- parameters: column
case typeof({column}) when 'text' then 'T' || hex({column}) else quote({column}) end
