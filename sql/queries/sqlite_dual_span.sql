-- purpose: a condition: bars of a span, both ends included
-- parameters: first and last second
time between ? and ?
