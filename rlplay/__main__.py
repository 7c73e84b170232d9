"""``python -m rlplay`` equals ``rlplay``."""

import sys

from rlplay.cli import main

if __name__ == "__main__":
    sys.exit(main())
