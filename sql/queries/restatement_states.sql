-- purpose: how some restatements stand
-- parameters: ids
select state from restatement where restatement_id = any(%s)
