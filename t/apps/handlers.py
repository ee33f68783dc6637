"""Handlers for signals, set at the import or (T_LATE) by the first request,
which note theirs in T_CALLS and (T_EXIT) end the process; or (T_FAULT) the
standard library's for USR1, which calls the one before, too. /wait waits until
one has run, /alarm sets one, /child asks a child about TERM, /beside only on
another thread than the main one."""
import faulthandler
import os
import signal
import threading
import time

called = []
beside = threading.Event()      # set when another thread has been asked


def note(sig, frame):
    called.append(sig)
    with open(os.environ["T_CALLS"], "a") as f:
        f.write("%d %s\n" % (os.getpid(), signal.Signals(sig).name))
    if "T_EXIT" in os.environ:
        raise SystemExit(0)


def handle():
    for name in "TERM", "INT", "QUIT", "USR1", "USR2", "ALRM":
        signal.signal(getattr(signal, "SIG" + name), note)


def until_called():
    end = time.monotonic() + 120
    while not called and time.monotonic() < end:
        time.sleep(0.01)
    return b"called" if called else b"not called"


def child():
    """How it ends: by a handler that runs in it."""
    ready, say = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            called.clear()
            os.write(say, b"x")
            os._exit(7 if until_called() == b"called" else 8)
        except SystemExit:
            os._exit(7)
    os.read(ready, 1)
    # CPython 3.13 forgets the first where a thread has forked the child.
    while (end := os.waitpid(pid, os.WNOHANG))[0] == 0:
        os.kill(pid, signal.SIGTERM)
        time.sleep(0.1)
    return b"%d" % os.waitstatus_to_exitcode(end[1])


if "T_FAULT" in os.environ:
    faulthandler.register(signal.SIGUSR1, open(os.environ["T_CALLS"], "w"),
                          chain=True)
elif "T_LATE" not in os.environ:
    handle()


def application(environ, start_response):
    path, body = environ["PATH_INFO"], b"%d" % os.getpid()
    if "T_LATE" in os.environ and signal.getsignal(signal.SIGTERM) != note:
        handle()
    if path == "/wait":
        with open(os.environ["T_CALLS"], "a") as f:
            f.write("waits\n")
        body = until_called()
    elif path == "/alarm":
        signal.setitimer(signal.ITIMER_REAL, 0.2)
    elif (path == "/beside" and threading.current_thread()
          is threading.main_thread()):
        beside.wait()
        body = b"main"
    elif path in ("/child", "/beside"):
        body = child()
        beside.set()
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body)))])
    return [body]
