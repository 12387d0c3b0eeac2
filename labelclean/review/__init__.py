"""The review of a report: decisions, and what follows from them."""
