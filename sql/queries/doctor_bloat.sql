-- purpose: compressed chunks that take much more room than when they were compressed
-- parameters: factor, bytes (less than so many more are no matter)
select relation, chunk, was, became
from hypertape.compressed_sizes()
where became > %(factor)s * was and became - was > %(bytes)s
order by became - was desc
