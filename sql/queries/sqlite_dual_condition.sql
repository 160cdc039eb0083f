-- purpose: which rows of a dual-write table are a series
-- parameters: ticker
ticker = ?
