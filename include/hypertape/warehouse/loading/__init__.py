"""The load: `load` is the contract; `merge` compares, `write` writes, `scale` refuses, `ledgers` remember."""
