"""`python -m hypertape`: the command line."""

from hypertape.cli import main

if __name__ == "__main__":
    main()
