"""`python -m dynarec`."""

from __future__ import annotations

import sys

from dynarec.cli import main

sys.exit(main())
