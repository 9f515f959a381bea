"""Systems side by side: tables, significance, figures and a page, made from the records of their evaluations."""
