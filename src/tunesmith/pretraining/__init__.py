"""Make a base of one's own: raw text -> tokenizer and GPT."""
