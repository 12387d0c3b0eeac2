"""The paper, runnable: methods, noise and figures side by side."""
