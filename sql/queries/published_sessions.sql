-- purpose: the complete and published sessions between two days, both included
-- parameters: market, interval, first, last
select session from published_session
where market = %(market)s and interval = %(interval)s and session between %(first)s and %(last)s
