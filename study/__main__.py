"""`python -m study` is the same as `study`."""

from study.cli import main

main()
