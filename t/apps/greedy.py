"""/grow/N keeps N MB more for good; /deaf blocks every signal that can be
and then sits in C until the process ends; /N sleeps N milliseconds. The
answer is the pid. With T_BOOT=FILE it sticks at import while FILE is there;
T_DEAF=1: deaf too, from the start."""
import ctypes
import os
import signal
import time

kept = []
libc = ctypes.CDLL(None)


def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))


def stick():
    while os.path.exists(os.environ["T_BOOT"]):
        time.sleep(0.1)


if os.environ.get("T_DEAF"):
    deaf()
if os.environ.get("T_BOOT"):
    stick()


def application(environ, start_response):
    what, _, number = environ["PATH_INFO"].strip("/").partition("/")
    if what == "grow":
        kept.append(b"x" * (int(number) << 20))
    elif what == "deaf":
        deaf()
        libc.poll(None, 0, 600000)
    elif what.isdigit():
        time.sleep(int(what) / 1000)
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
