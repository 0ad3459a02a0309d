"""On the path of Python in sanitizer builds: the sanitizers refuse libraries that are opened with RTLD_DEEPBIND.

capstone asks for it wherever `os` has it.
"""

from __future__ import annotations

import os

if hasattr(os, "RTLD_DEEPBIND"):
    del os.RTLD_DEEPBIND
