"""Results are written whole or not at all."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes | str) -> None:
    """Put a file in place in one move, so that whatever happens the old one or the new one stands there.

    Raises:
        OSError: if it can't be written; the old file is as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(unfinished, 0o644)
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def check_writable(folder: Path) -> None:
    """Make the folder if it is missing and write a file into it for a moment, before hours of work depend on it.

    Raises:
        OSError: if that fails; names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-"):
            pass
    except OSError as error:
        raise OSError(error.errno, f"cannot write here: {error.strerror}", str(folder)) from None
