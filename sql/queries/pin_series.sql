-- purpose: the series of a pin: interval, ticker and bars
-- parameters: name
select width, symbol, sum(bars)::bigint from pin_block where name = %(name)s group by width, symbol order by width, symbol
