-- purpose: the date of a price_history row as text; empty where it is none
-- parameters: none
case typeof(date) when 'text' then date else '' end
