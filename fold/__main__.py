"""`python -m fold` is `fold`."""

import sys

from fold.cli import main

if __name__ == "__main__":
    sys.exit(main())
