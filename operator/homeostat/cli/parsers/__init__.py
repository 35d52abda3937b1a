"""What each command may be told. Nothing here costs more to import than argparse: `--help` and completion read it."""
