"""`python -m hypertape.cli`."""

from hypertape.cli import main

main()
