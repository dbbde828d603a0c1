"""The command line of `lib.chapters.audit`: `python -m lib.audit -n 10`."""

import sys

from lib.chapters import audit

if __name__ == "__main__":
    sys.exit(audit.main())
