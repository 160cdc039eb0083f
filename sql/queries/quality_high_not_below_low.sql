-- purpose: rows whose high is below their low
select ticker, time, high, low from bar where high < low
