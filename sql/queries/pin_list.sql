-- purpose: the pins with their universe, and one digest over everything in them
-- parameters: name (null: all)
select
    pin.name, pin.market, pin.intervals, pin.known_at, pin.code_version, pin.created_at,
    coalesce(array_agg(distinct block.symbol) filter (where block.symbol is not null), '{}'),
    coalesce(sum(block.bars), 0)::bigint,
    md5(coalesce(string_agg(block.width || ' ' || block.symbol || ' ' || block.digest, ' ' order by block.width, block.symbol, block.starts_at), ''))
from pin
left join pin_block as block using (name)
where %(name)s::text is null or pin.name = %(name)s
group by pin.name
order by pin.known_at, pin.name
