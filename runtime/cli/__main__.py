"""`python -m runtime.cli`: the command without its installation."""

from runtime.cli import main

main()
