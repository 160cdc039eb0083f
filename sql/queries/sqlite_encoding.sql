-- purpose: how a SQLite file writes text
-- parameters: none
pragma encoding
