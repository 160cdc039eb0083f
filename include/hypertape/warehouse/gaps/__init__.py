"""The gap ledger: `ledger` keeps it, `rules` judge from `evidence` over a `grid`, `healing` asks again."""
