"""What becomes of a job: a worker claims it, validates its files, trains, and keeps what came of it."""
