"""`python -m labelclean` is `labelclean`."""

from labelclean.cli import main

main()
