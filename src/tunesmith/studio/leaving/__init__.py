"""What a team brings along from OpenAI: its files, and the job that they become here."""
