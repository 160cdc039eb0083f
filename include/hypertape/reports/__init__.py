"""HTML pages about what the ledgers know, each complete in itself. `pages` renders what the other modules gather."""
