-- purpose: rows that do not open on the interval's grid
-- parameters: width, grid_origin (an opening)
select ticker, time from bar where date_bin({width}, time, {grid_origin}) <> time
