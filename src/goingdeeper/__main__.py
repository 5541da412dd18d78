"""`python -m goingdeeper` does the same as `deeper`."""

from goingdeeper.cli import main

if __name__ == "__main__":
    main()
