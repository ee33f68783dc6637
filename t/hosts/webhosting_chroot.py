#!/usr/bin/python3
"""The upload on hosts that have nothing of ours.

With T_CHROOT=1, as root: debootstrap makes a minimal system with Apache,
Passenger and Python, a user unpacks gangway-webhosting.zip there, and the
first request of all is answered by the Flask application in it; in a system
with another Python, by the page that says so. Then the same by FastCGI, under
suexec. T_CHROOT=DIR keeps the systems in DIR for the next time; making them
takes minutes and 500 MB each. T_MIRROR is where from, T_SUITES which ones.
"""
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

import webhosting
from process import Process, free_port, tmpdir
from server import BUILD, TOP
from tap import attempt, done, guard, is_, ok, skip, skip_all
from wait import wait_for
from wire import Http
from webhosting import VERSION, put

MIRROR = os.environ.get("T_MIRROR", "http://deb.debian.org/debian")
# Debian 12 has Python 3.11, Debian 13 has 3.13.
SUITES = os.environ.get("T_SUITES", "bookworm trixie").split()
SITE = """
Listen 127.0.0.1:%(port)d
<VirtualHost 127.0.0.1:%(port)d>
    DocumentRoot %(root)s/public
    %(more)s
    <Directory %(root)s/public>
        AllowOverride All
        Options SymLinksIfOwnerMatch
        Require all granted
    </Directory>
</VirtualHost>
"""
BOOT = 'mount -t proc proc "$1/proc" && exec chroot "$@"'
ENV = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
       "DEBIAN_FRONTEND=noninteractive"]


class Host:
    """A minimal system in a folder, and Apache in it."""

    def __init__(self, suite):
        kept = os.environ["T_CHROOT"]
        self.name = suite
        self.root = os.path.join(kept if kept.startswith("/") else tmpdir(),
                                 suite)
        if not os.path.exists(self.root + "/usr/sbin/apache2"):
            subprocess.run(
                ["debootstrap", "--variant=minbase", "--include=apache2,"
                 "libapache2-mod-passenger,passwd,python3", suite, self.root,
                 MIRROR], check=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL)
        put(self.root + "/etc/apache2", ports__conf="")
        self.python = self.run(
            "python3", "-c", "import sys; print('%d.%d' % sys.version_info"
            "[:2])")[1].strip()

    def run(self, *argv, user="root"):
        """(exit status, what was said) of a command inside."""
        got = subprocess.run(
            ["chroot", "--userspec=" + user, self.root, *ENV, *argv],
            text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        return got.returncode, got.stdout

    def install(self, *packages):
        shutil.copy("/etc/resolv.conf", self.root + "/etc")
        policy = self.root + "/usr/sbin/policy-rc.d"
        with open(policy, "w") as f:
            f.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
        self.run("apt-get", "-q", "update")
        return self.run("apt-get", "install", "-q", "-y",
                        "--no-install-recommends", *packages)

    def arrive(self, user, beside):
        """The zip comes to a user, who unpacks it by what is there, which is
        Python, which forgets the modes. The README says what to do then."""
        home = os.path.join(beside, user)
        shutil.rmtree(self.root + home, ignore_errors=True)
        self.run("userdel", user)
        self.run("useradd", "--create-home", "--home-dir", home, user)
        os.chmod(self.root + home, 0o755)
        shutil.copy(webhosting.ARCHIVE, self.root + home)
        site = home + "/gangway-webhosting"
        is_(self.run("sh", "-c", "umask 022 && cd %s && python3 -m zipfile "
                     "-e gangway-webhosting.zip . && chmod 755 %s %s" % (
                         home, site + "/public/dispatch.fcgi",
                         site + "/gangway/bin/gangway"), user=user),
            (0, ""), "%s: %s unpacks it" % (self.name, user))
        return site

    def apache(self, sites, on, off):
        """Apache with [(port, site, more)], and these modules on and off."""
        self.run("a2dismod", "-q", "-f", *off)
        self.run("a2enmod", "-q", *on)
        put(self.root + "/etc/apache2/sites-enabled", **{
            "000-default__conf": "".join(
                SITE % dict(port=port, root=site, more=more)
                for port, site, more in sites)})
        # unshare hears no signal but KILL, and takes all with it.
        return Process(["unshare", "--mount", "--pid", "--fork",
                        "--kill-child", "sh", "-c", BOOT, "sh", self.root,
                        *ENV, "apache2ctl", "-D", "FOREGROUND"], cwd="/")


def first_answer(port):
    """(status, text) of /, as soon as there is one."""
    def get():
        try:
            with Http(("127.0.0.1", port)) as c:
                return c.get("/")
        except OSError:
            return None
    r = wait_for(get)
    return (r.status, r.body.decode()) if r else (None, "")


def by_passenger(host):
    is_(host.run("sh", "-c", "command -v gangway; ls /usr/lib/*/libinih* "
                 "/usr/lib/*/libfcgi* 2>/dev/null")[1], "",
        host.name + ": there is nothing of ours")
    sites = [(free_port(), host.arrive(user, "/home"), "")
             for user in ("inside", "exec")]
    startup = host.root + sites[1][1] + "/passenger_wsgi.py"
    with open(startup) as f:
        text = f.read().replace('HOW = "auto"', 'HOW = "exec"')
    put(os.path.dirname(startup), passenger_wsgi__py=text)
    with host.apache(sites, ["passenger"], ["fcgid", "suexec"]) as p:
        for port, site, _ in sites:
            status, text = first_answer(port)
            what = "%s, Python %s, %s" % (host.name, host.python, site)
            if host.python == VERSION:
                is_((status, text), (200, "boarded with %s/vendor" % site),
                    what + ": the first answer")
                continue
            is_(status, 500, what + ": a 500")
            ok("Python: this host has %s" % host.python in text and
               "needed is %s." % VERSION in text,
               what + ": names what is there and what is needed", text)
            ok("exec" not in site or "needs Python %s, and this host has no /"
               % VERSION in text, what + ": nor does the program run", text)
        p.kill()


def by_suexec(host):
    """A host with mod_fcgid and suexec, and without Passenger."""
    status, said = host.install("apache2-suexec-pristine",
                                "libapache2-mod-fcgid")
    if not ok(status == 0, host.name + ": mod_fcgid comes", said):
        return
    port, site = free_port(), host.arrive("fast", "/var/www")
    log = host.root + "/var/log/apache2/suexec.log"
    if os.path.exists(log):
        os.unlink(log)
    with host.apache([(port, site, "SuexecUserGroup fast fast")],
                     ["fcgid", "suexec", "rewrite"], ["passenger"]) as p:
        status, text = first_answer(port)
        what = "%s, Python %s, suexec" % (host.name, host.python)
        if host.python == VERSION:
            is_((status, text), (200, "boarded with %s/vendor" % site),
                what + ": the first answer")
        else:
            is_(status, 500, what + ": a 500")
            ok("needed is %s." % VERSION in text,
               what + ": says what is needed", text)
        with open(log) as f:
            ok("/fast)" in f.read(), what + ": as the user")
        p.kill()


def on_host(suite):
    host = Host(suite)
    attempt(by_passenger, host)
    attempt(by_suexec, host)


def by_deploy():
    """The same zip comes out of what people call."""
    if os.path.realpath(BUILD) not in (os.path.realpath(TOP), os.path.realpath(
            os.path.join(TOP, "build"))):
        skip("deploy.sh would build in another folder")
        return
    out = tmpdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    got = subprocess.run(
        [os.path.join(TOP, "deploy.sh"), "webhosting", webhosting.SITE,
         "--output", out, "--python", webhosting.PYTHON, "--yes"], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=env)
    ok(got.returncode == 0, "deploy.sh webhosting", got.stdout)
    is_(webhosting.digest(out + "/gangway-webhosting.zip"),
        webhosting.digest(webhosting.ARCHIVE), "makes the same zip")


def main():
    why = "T_CHROOT is not set: it takes minutes and a network" \
        if "T_CHROOT" not in os.environ else \
        "only root can make a chroot" if os.getuid() != 0 else \
        None if shutil.which("debootstrap") else \
        "debootstrap is missing (Debian: debootstrap)"
    if why:
        skip_all(why)
    guard(1800)
    webhosting.prepare()
    attempt(by_deploy)
    for suite in SUITES:
        attempt(on_host, suite)
    done()


if __name__ == "__main__":
    main()
