"""`python -m goingdeeper` does the same as `deeper`."""

from goingdeeper.cli import program

if __name__ == "__main__":
    program()
