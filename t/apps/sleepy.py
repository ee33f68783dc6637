"""/N sleeps N milliseconds and says its pid; /spin/N burns them instead;
/held takes as long as the file named by T_HELD is there; /exit/N ends the
process; /segv kills it. What begins is noted, by pid and path, in the file
named by T_CALLS."""
import ctypes
import os
import time


def application(environ, start_response):
    if "T_CALLS" in os.environ:
        with open(os.environ["T_CALLS"], "a") as f:
            f.write("%d %s\n" % (os.getpid(), environ["PATH_INFO"]))
    parts = environ["PATH_INFO"].strip("/").split("/")
    ms = int(parts[-1]) if parts[-1].isdigit() else 0
    if parts[0] == "spin":
        end = time.monotonic() + ms / 1000
        while time.monotonic() < end:
            pass
    elif parts[0] == "held":
        while os.path.exists(os.environ["T_HELD"]):
            time.sleep(0.01)
    elif parts[0] == "exit":
        os._exit(ms)
    elif parts[0] == "segv":
        ctypes.string_at(0)
    elif parts[0] == "pid":
        pass
    else:
        time.sleep(ms / 1000)
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]


def wait20(environ, start_response):
    time.sleep(0.02)
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", "2")])
    return [b"ok"]
