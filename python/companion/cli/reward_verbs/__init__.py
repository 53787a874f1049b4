"""The verbs of `companion rewards`, one file each, of the same shape as those of `companion`."""
