"""`python -m lockgate` is the `lockgate` script."""

from lockgate.cli.main import main

main()
