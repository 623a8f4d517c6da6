"""``python -m zeropoint.cli``: the command line without the installed script."""

from zeropoint.cli import main

main()
