import sys

from gangway import main

sys.exit(main())
