"""``python -m llm_sync`` is the command line."""

import sys

from llm_sync.cli.main import main

sys.exit(main())
