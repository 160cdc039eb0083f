"""What /metrics tells: the warehouse's figures read off its ledgers, and those of a process and its machine."""
