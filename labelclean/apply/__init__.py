"""Corrected labels from a report and decisions: written, logged, taken back."""
