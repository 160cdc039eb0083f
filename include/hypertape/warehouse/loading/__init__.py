"""The load: `load` is the contract; `merge` compares, `write` writes, `scale` refuses (by `price_ratio`), `ledgers` remember."""
