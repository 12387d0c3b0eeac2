"""The workflows behind the commands: each composes what the rooms below offer."""
