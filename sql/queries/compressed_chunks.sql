-- purpose: the compressed chunks that hold a span of a relation
-- parameters: relation, first, last
select chunk, range_start, range_end, rows from hypertape.compressed_chunks(%s, %s, %s)
