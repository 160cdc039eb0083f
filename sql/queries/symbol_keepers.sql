-- purpose: the vendors whose lists have a ticker under one name and not under another
-- parameters: market, old, new
select source
from listing
where market = %(market)s and ticker = %(old)s and delisted_at is null
    and not exists (
        select from listing as other
        where other.market = listing.market and other.source = listing.source and other.ticker = %(new)s
            and other.delisted_at is null
    )
order by source
