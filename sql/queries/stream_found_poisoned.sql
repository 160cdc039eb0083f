-- purpose: whether a planted record that is no tick lies in dead_letter
-- parameters: sequence, source
select exists (
    select from dead_letter
    where source = %(source)s and kind = 'record'
        and position(convert_to('"sequence":' || %(sequence)s::text || ',', 'UTF8') in record) > 0
)
