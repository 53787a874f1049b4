"""MuJoCo steps many copies of one task in one process."""
