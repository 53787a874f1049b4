"""How a person is told what went wrong."""


def is_told_in_one_line(error: Exception) -> bool:
    """Whether the error is about what a person gave or about the machine, and not a fault of the code."""
    expected = isinstance(error, ValueError | OSError | ArithmeticError | ImportError)
    return expected or type(error).__module__.split(".")[0] in ("companion", "trainers")


def one_line(error: BaseException) -> str:
    """The error in one line: what, where, and how to mend it where that is known."""
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed, and this verb needs it; run `make setup`, or ask `companion doctor`"
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        return " ".join(f"{place}{error.strerror}".split())
    return " ".join(str(error).split()) or type(error).__name__
