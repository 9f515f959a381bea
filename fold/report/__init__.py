"""A depth sweep as a file, a table and a figure."""
