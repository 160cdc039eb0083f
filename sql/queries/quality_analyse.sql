-- purpose: tell the planner what a table holds now
-- parameters: relation (its name)
select hypertape.analyse(%s)
