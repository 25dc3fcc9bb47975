"""`python -m samkit`."""

from samkit.cli import main

if __name__ == "__main__":
    main()
