-- purpose: a cell of a SQLite table as a double; infinite where it is no number, or an integer that no double holds
-- parameters: column
case typeof({column})
    when 'real' then {column}
    when 'integer' then iif({column} between -9007199254740992 and 9007199254740992, {column} * 1.0, 9e999)
    else 9e999
end
