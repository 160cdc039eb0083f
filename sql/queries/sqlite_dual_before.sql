-- purpose: a condition: bars before an instant
-- parameters: second
time < ?
