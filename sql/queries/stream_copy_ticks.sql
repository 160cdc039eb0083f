-- purpose: ticks of which none is stored yet; the copy fails where one is
copy bars.ticks (symbol_id, tick_time, sequence, bid_price, ask_price, bid_volume, ask_volume, source)
from stdin (format binary)
