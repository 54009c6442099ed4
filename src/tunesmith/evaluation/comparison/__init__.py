"""Runs beside each other: what was answered on the same test rows -> differences that are sure or not."""
