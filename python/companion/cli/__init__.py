"""The command line: the only room where worlds meet trainers."""
