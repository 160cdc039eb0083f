-- purpose: how many rows a relation has, and a digest of them that does not depend on their order
select count(*), coalesce(sum(hashtextextended(each_row::text, 0)::numeric), 0)::text from {relation} as each_row
