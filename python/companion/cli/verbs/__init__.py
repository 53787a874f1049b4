"""The verbs of `companion`, one file each.

A verb is a module with a frozen dataclass `Arguments`, whose fields become flags, and `run(arguments) -> int | None`,
the exit code. The first sentence of the module's docstring is its line in `companion --help`. A verb that has a menu
of its own, as `companion rewards`, names the package of its verbs as `VERBS` instead.
"""
