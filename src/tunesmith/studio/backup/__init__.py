"""All of a studio in one directory, and back: for the day on which a disk dies, and for moving."""
