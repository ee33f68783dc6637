"""Why the server does not run here: one page that names both sides.

Any Python from 2.7 on reads this file, because it is needed where the Python
is another than was thought. As a program it answers whoever starts it with
that page: a FastCGI server (mod_fcgid), a CGI server, or a shell.
"""
from __future__ import print_function

import os
import platform
import re
import socket
import stat
import struct
import subprocess
import sys

HOME = os.path.dirname(os.path.abspath(__file__))
KIND = "text/plain; charset=utf-8"
OBJECT = re.compile(r"_core\.cpython-(\d)(\d+)[a-z]*(?:-(\w+?)-(linux-\w+))?"
                    r"\.so$")
PATIENCE = 30       # seconds without a request, after which a repair is seen


# --- both sides

def objects(home=HOME):
    """(version, machine) of each extension module that was brought along."""
    found = [OBJECT.match(name) for name in os.listdir(home)]
    return sorted(((int(m.group(1)), int(m.group(2))), m.group(3) or "")
                  for m in found if m)


def made(home=HOME):
    """What was noted when this folder was made, such as glibc's version."""
    try:
        with open(os.path.join(home, "made.txt")) as f:
            return dict(line.split(None, 1) for line in f.read().splitlines()
                        if len(line.split(None, 1)) == 2)
    except (IOError, OSError):
        return {}


def glibc():
    """glibc's version here, or "" where the C library is another."""
    try:
        name, _, version = os.confstr("CS_GNU_LIBC_VERSION").partition(" ")
        return version if name == "glibc" else ""
    except (AttributeError, ValueError, OSError):
        return ""


def numbers(version):
    return tuple(int(n) for n in re.findall(r"\d+", version)[:2])


def listed(words):
    return words[0] if len(words) == 1 else \
        ", ".join(words[:-1]) + " and " + words[-1]


def sides(home=HOME):
    """[(what, what is here, what is needed, do they fit)]"""
    have, noted = objects(home), made(home)
    rows = []
    if have:
        needed = listed(["%d.%d" % v for v in
                         sorted(set(v for v, _ in have))])
        implementation = platform.python_implementation()
        rows.append((
            "Python", ("" if implementation == "CPython" else
                       implementation + " ") + platform.python_version(),
            needed, implementation == "CPython" and
            sys.version_info[:2] in [v for v, _ in have]))
        machines = sorted(set(m for _, m in have if m))
        if machines:
            rows.append(("machine", platform.machine(), listed(machines),
                         platform.machine() in machines))
    if noted.get("glibc"):
        here = glibc()
        rows.append(("C library",
                     "glibc " + here if here else "not glibc",
                     "glibc %s or later" % noted["glibc"],
                     numbers(here) >= numbers(noted["glibc"])))
    return rows


ADVICE = {
    "Python": "Choose Python %s for this application in the host's control "
              "panel, or name such a Python in dispatch.fcgi; or make the "
              "upload again with `deploy.sh webhosting --python PROGRAM`, "
              "where PROGRAM is a Python %s with its headers.",
    "machine": "Make the upload on a machine of the host's kind: it needs "
               "%s, and this is %s.",
    "C library": "It needs %s, this host has %s: make the upload on a "
                 "system that is as old as the host's, in a container for "
                 "example.",
}


def advice(what, here, needed):
    if what == "Python":
        return ADVICE[what] % (needed.replace(" and ", " or "),
                               ".".join(here.split(".")[:2]))
    return ADVICE[what] % (needed, here)


def remedies(home=HOME):
    """What does not fit, and what to do about it: lines for a page."""
    out = []
    if not any(name.startswith("_core.") for name in os.listdir(home)):
        out += ["The folder gangway/ has no extension module in it: it was "
                "not uploaded whole.", ""]
    for what, here, needed, good in sides(home):
        if not good:
            out += ["%s: this host has %s, needed is %s."
                    % (what, here, needed), advice(what, here, needed), ""]
    return out


def text(error=None, home=HOME):
    """The page. error: what the import said, if there was one."""
    found = remedies(home)
    if not found:
        found = ["Python, machine and C library fit: " + "; ".join(
            "%s %s" % row[:2] for row in sides(home)) + ".", ""]
        if error is not None:
            found += ["What Python says: %s" % error, ""]
    return "\n".join(["gangway cannot run this application here.", ""] +
                     found + ["After the repair, upload tmp/restart.txt "
                              "anew."]) + "\n"


def program(home=HOME):
    """Why the program that was brought along cannot be used, or ""."""
    noted, path = made(home), os.path.join(home, "bin", "gangway")
    library = noted.get("program-library", "")
    if library and not os.path.isdir(library):
        return "the program gangway needs Python %s, and this host has no " \
            "%s" % (noted.get("program-python"), library)
    try:
        p = subprocess.Popen([path, "--version"], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        said = p.communicate()[0].decode("utf-8", "replace").strip()
    except OSError as e:
        return "%s: %s" % (path, e.strerror)
    return "" if p.returncode == 0 else said or "%s does not run" % path


# --- those who want to know

def line(error=None, home=HOME):
    """The same in one line, for an exception or a log."""
    misfits = ["%s: here is %s, needed is %s" % row[:3]
               for row in sides(home) if not row[3]]
    return "gangway does not fit this host (%s)" % (
        "; ".join(misfits) or error or "no extension module")


def page(error=None):
    """A WSGI application that has only this to say."""
    body = text(error).encode("utf-8")

    def application(environ, start_response):
        start_response("500 Internal Server Error", [
            ("Content-Type", KIND), ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store")])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
    return application


def cgi(body):
    head = "Status: 500 Internal Server Error\r\nContent-Type: %s\r\n" \
        "Cache-Control: no-store\r\n\r\n" % KIND
    return head.encode("ascii") + body


def record(kind, ident, content):
    return struct.pack("!BBHHBx", 1, kind, ident, len(content), 0) + content


def answer(connection, body):
    """One request of FastCGI, read to its end and answered."""
    f = connection.makefile("rb")
    while True:
        head = f.read(8)
        if len(head) < 8:
            return
        _, kind, ident, length, padding = struct.unpack("!BBHHBx", head)
        f.read(length + padding)
        if kind == 5 and length == 0:       # the end of STDIN
            connection.sendall(
                record(6, ident, cgi(body)) + record(6, ident, b"") +
                record(3, ident, struct.pack("!LB3x", 0, 0)))
            return


def serve(body):
    """Answer on the socket that is descriptor 0, as FastCGI's starters
    leave it; end when it is quiet, so that a repair is noticed."""
    listener = socket.fromfd(0, socket.AF_UNIX, socket.SOCK_STREAM)
    while True:
        listener.settimeout(PATIENCE)
        try:
            connection = listener.accept()[0]
        except socket.timeout:
            return
        connection.settimeout(PATIENCE)
        try:
            answer(connection, body)
        except (socket.error, struct.error):
            pass        # gone, or not FastCGI
        connection.close()


def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


def main():
    error = None
    sys.path[0] = os.path.dirname(HOME)     # not HOME: no module is its own
    try:
        __import__("gangway._core")
    except ImportError as e:
        error = e
    body = text(error).encode("utf-8")
    print(line(error), file=sys.stderr)
    sys.stderr.flush()
    if "GATEWAY_INTERFACE" in os.environ:
        os.write(1, cgi(body))
    elif is_socket(0):
        serve(body)
    else:
        os.write(1, body)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
