"""`python -m wholenet` is the command line."""

from wholenet.cli import main

if __name__ == "__main__":
    main()
