"""``python -m cluster.cli``: the same as ``sightline``."""

from cluster.cli.main import main

if __name__ == "__main__":
    main()
