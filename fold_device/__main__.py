"""`python -m fold_device`."""

import sys

from fold_device.cli import main

sys.exit(main())
