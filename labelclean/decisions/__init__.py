"""Decisions of a person about the images of a report."""
