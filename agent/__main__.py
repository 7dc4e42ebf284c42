"""`python -m agent`: the same as `quickturn`."""

from agent.cli import main

if __name__ == "__main__":
    main()
