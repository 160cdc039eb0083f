-- purpose: let a stored relation drop its old bars, or keep all (null)
-- parameters: relation as text, span
select hypertape.keep_for(%s, %s)
