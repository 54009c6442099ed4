"""Answers of the bases and of the models that jobs made: chats, completions, labels."""
