-- purpose: what each series leaves out ordinarily, as far as it was learned
-- parameters: market, interval
select ticker, ordinary, unusual from gap_judged
where market = %(market)s and interval = %(interval)s and ordinary is not null
