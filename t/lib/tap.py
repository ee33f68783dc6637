"""TAP for the Python tests.

ok(cond, name), is_(got, want, name) print one line and yield the verdict;
attempt(fn, ...) runs a group of cases, whose exception is a failed case;
together(groups) runs several groups at the same time;
skip(why, n) stands for n cases; skip_all(why) ends the program; done()
prints the plan and exits. guard(seconds) ends a test that hangs.
"""
import faulthandler
import os
import signal
import sys
import threading
import traceback

_count = 0
_failed = 0
_lock = threading.RLock()       # a result and what is noted of it


def _say(text):
    # One write a line: a child that shares our stdout cannot tear it.
    sys.stdout.flush()
    os.write(1, (text + "\n").encode("utf-8", "backslashreplace"))


def note(text):
    for line in str(text).splitlines():
        _say("# " + line)


def ok(cond, name, why=""):
    global _count, _failed
    name = str(name).replace("#", "\\#")
    with _lock:
        _count += 1
        _say("%sok %d - %s" % ("" if cond else "not ", _count, name))
        if not cond:
            _failed += 1
            caller = sys._getframe(1)
            if caller.f_code.co_filename == __file__:
                caller = sys._getframe(2)
            note("at %s:%d" % (caller.f_code.co_filename, caller.f_lineno))
            if why:
                note(why)
    return bool(cond)


def is_(got, want, name):
    return ok(got == want, name, "got    %.2000r\nwanted %.2000r" % (got, want))


def attempt(what, *args, **more):
    """Run one group of cases; an exception is one more that failed."""
    try:
        return what(*args, **more)
    except Exception as e:
        ok(False, "%s: %s %s" % (what.__name__, type(e).__name__, e),
           traceback.format_exc())


def together(groups, at_once=4):
    """Run groups of cases, each (fn, argument, ...), so many at once. For
    groups that share nothing and measure nothing."""
    left = list(groups)[::-1]

    def work():
        while True:
            with _lock:
                if not left:
                    return
                what, *args = left.pop()
            attempt(what, *args)
    threads = [threading.Thread(target=work, daemon=True)
               for _ in range(at_once)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def skip(why, n=1):
    global _count
    with _lock:
        for _ in range(n):
            _count += 1
            _say("ok %d # SKIP %s" % (_count, why))


def skip_all(why):
    _say("1..0 # SKIP " + why)
    sys.exit(0)


def bail(why):
    _say("Bail out! " + why)
    sys.exit(1)


def failures():
    """How many checks failed so far."""
    return _failed


def guard(seconds):
    """Give up, with every thread's stack, when the test takes that long
    (T_SLOWER times that, with sanitizers)."""
    seconds *= int(os.environ.get("T_SLOWER", "1"))

    def late(*_):
        faulthandler.dump_traceback(all_threads=True)
        bail("took longer than %d s" % seconds)
    signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)


def done():
    signal.alarm(0)
    _say("1..%d" % _count)
    sys.exit(1 if _failed else 0)
