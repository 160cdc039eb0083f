-- purpose: a condition: a cell that a double may not hold exactly
-- parameters: column
+{column} not between -9007199254740992 and 9007199254740992
