"""What the defaults of fold rest on: trainings of hours, their records and their tables."""
