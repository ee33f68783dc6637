"""Programs that a test starts, and what /proc says of them.

Process is a context manager; what it started is ended by its own process
group, also when the test dies. cpu_us() and pss_kb() say what a process tree
costs.
"""
import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile

import tap
from wait import PATIENCE, wait_text

running = []    # what is to be ended when the test dies
_ports = []     # the marks of those that were given, held while we live


@atexit.register
def _stop_all():
    for p in reversed(running[:]):
        p.kill()


def tmpdir():
    """A private folder that goes away with the test."""
    d = tempfile.mkdtemp(prefix="gangway-t.")
    atexit.register(shutil.rmtree, d, True)
    return d


def free_port():
    """A loopback port below the ephemeral ones, so that no client's own
    port can take it before the server does; marked by an abstract socket,
    so that no other test is given it, nor this one again."""
    while True:
        port = random.randrange(15000, 32000)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind("\0gangway-t.port.%d" % port)
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _ports.append(mark)
        return port


def processes():
    """{pid: (parent, state)} of this machine."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    rest = f.read().rpartition(")")[2].split()
                found[int(name)] = (int(rest[1]), rest[0])
            except OSError:
                pass
    return found


def _born(pid):
    """The children of all its threads, as the kernel lists them."""
    found = []
    try:
        for t in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, t)) as f:
                found += map(int, f.read().split())
    except OSError:
        if not os.path.exists("/proc/self/task/%d/children" % os.getpid()):
            return [p for p, (parent, _) in processes().items()
                    if parent == pid]
    return found


def _state(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def children(pid):
    """Those that run. Asked twice, for one may be passed over while another
    one goes."""
    found = None
    while True:
        last, found = found, sorted(_born(pid))
        if found == last:
            return [p for p in found if _state(p) != "Z"]


def tree(pid):
    """pid and all its descendants."""
    table, found = processes(), [pid]
    for p in found:
        found += [q for q, (parent, state) in table.items() if parent == p]
    return found


def alive(pid):
    """Until its last thread is gone: the first may be a zombie while another
    one still holds the sockets, on which connections are then queued."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            rest = f.read().rpartition(")")[2].split()
    except OSError:
        return False
    return rest[0] != "Z" or int(rest[17]) > 1


def cpu_us(pids):
    """Microseconds that the living threads of these processes have run."""
    total = 0
    for pid in pids:
        try:
            tasks = os.listdir("/proc/%d/task" % pid)
        except OSError:
            continue
        for t in tasks:
            try:
                with open("/proc/%d/task/%s/schedstat" % (pid, t)) as f:
                    total += int(f.read().split()[0])
            except OSError:
                pass
    return total / 1000


def pss_kb(pids):
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid) as f:
                total += sum(int(line.split()[1]) for line in f
                             if line.startswith("Pss:"))
        except OSError:
            pass
    return total


def anon_kb(pid):
    """Anonymous memory that the process holds."""
    with open("/proc/%d/status" % pid) as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("RssAnon"))


def fd_count(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Process:
    """A program in a process group of its own, its output in a file."""

    def __init__(self, argv, env=None, cwd=None, stdin=subprocess.DEVNULL,
                 **more):
        self.dir = tmpdir()
        self.argv = argv
        self.log_path = os.path.join(self.dir, "output")
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("GANGWAY", "GUNICORN", "LISTEN_"))}
        # Control sockets of other tests are nobody's business here.
        self.env.update({"PYTHONDONTWRITEBYTECODE": "1",
                         "XDG_RUNTIME_DIR": self.dir, **(env or {})})
        with open(self.log_path, "wb") as out:
            self.popen = subprocess.Popen(
                argv, stdin=stdin, stdout=out, stderr=out, env=self.env,
                cwd=cwd, start_new_session=True, **more)
        self.pid = self.popen.pid
        running.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] and exc[0] is not SystemExit:
            tap.note(self.log()[-4000:])
        self.stop()

    def log(self):
        with open(self.log_path, errors="backslashreplace") as f:
            return f.read()

    def wait_log(self, text, count=1, seconds=PATIENCE):
        """Until its output has `text` (or a compiled pattern) so often;
        the output, or False."""
        return wait_text(self.log_path, text, count, seconds)

    def send_signal(self, sig):
        os.kill(self.pid, sig)

    def wait(self, seconds=PATIENCE):
        """The exit status, or None while it runs."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, sig=signal.SIGTERM, seconds=PATIENCE):
        """End it; its exit status (None: it had to be killed)."""
        if self.popen.poll() is None:
            self.send_signal(sig)
        status = self.wait(seconds)
        self.kill()
        return status

    def kill(self):
        # The group is ours (a new session); its number stays taken as
        # long as one of it lives.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait()
        if self in running:
            running.remove(self)
