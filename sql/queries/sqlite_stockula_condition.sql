-- purpose: which rows of price_history are a series; the plus sign keeps the index that sorts by date
-- parameters: symbol; three spellings of the interval
symbol = ? and +interval in (?, ?, ?)
