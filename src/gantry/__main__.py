"""`python -m gantry` is the command `gantry`."""

from gantry.cli.main import main

if __name__ == "__main__":
    main()
