"""hypertape: a market-data warehouse that can prove every bar is there and right."""

__version__ = "0.1.0"
