-- purpose: tell the planner what a table holds now
-- parameters: relation
analyze {relation}
