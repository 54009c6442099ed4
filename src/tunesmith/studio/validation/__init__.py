"""What is looked at before a job may train: its files, line by line, and its hyperparameters."""
