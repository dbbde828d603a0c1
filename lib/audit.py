"""The command line of `lib.report.audit`: `python -m lib.audit fig03 -n 10`."""

import sys

from lib.report import audit

if __name__ == "__main__":
    sys.exit(audit.main())
