-- purpose: a condition: bars after an instant
-- parameters: second
time > ?
