"""``python -m llm_sync`` is the command line."""

import sys

from llm_sync.cli import main

sys.exit(main())
