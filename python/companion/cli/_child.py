"""`companion WORDS` as another process's child: it ends when its parent does, however that ended.

The parent holds the other end of stdin, which the system closes with it; so a killed parent leaves nothing running.
"""

import os
import sys
import threading

from companion.cli.main import main

ORPHANED = 1


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(ORPHANED)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
