"""What only a look at all texts together shows: wrong labels, shift, languages."""
