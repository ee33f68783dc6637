#!/usr/bin/env python3
import calls

if __name__ == "__main__":
    raise SystemExit("run by hand")

application = calls.hello
other = calls.empty
