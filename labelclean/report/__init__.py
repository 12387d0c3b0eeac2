"""From predictions to verdicts, tables and figures for people."""
