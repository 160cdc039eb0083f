-- purpose: compress a chunk
-- parameters: chunk
select hypertape.close_chunk(%s)
