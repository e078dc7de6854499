"""`python -m gatec` is `gatec`."""

import sys

from gatec.cli import main

sys.exit(main())
