-- purpose: remove the bars of one series that open before an instant, because the archive has them
-- parameters: bars; ticker, before
delete from {bars} where ticker = %(ticker)s and time < %(before)s
