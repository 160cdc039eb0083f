-- purpose: turn a compressed chunk into plain rows
-- parameters: chunk
select hypertape.open_chunk(%s)
