#!/usr/bin/python3
"""Virtual environments: the ways to say which, and what settings put into
the environment of an application.
"""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(__file__ + "/../../lib"))

from process import tmpdir
from server import GANGWAY, Server
from tap import done, guard, is_, ok, together

APP = """
import os, sys
def application(environ, start_response):
    try:
        import only_here
        said = only_here.said
    except ImportError:
        said = "nothing"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("%s %s %s" % (said, sys.prefix == os.environ.get("VENV"),
                           os.environ.get("WHO"))).encode()]
"""


def make_venv():
    folder = os.path.realpath(os.path.join(tmpdir(), "v"))
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip",
                    folder], check=True)
    site = os.path.join(folder, "lib", "python%d.%d" % sys.version_info[:2],
                        "site-packages")
    with open(os.path.join(site, "only_here.py"), "w") as f:
        f.write("said = 'found'\n")
    os.symlink(GANGWAY, os.path.join(folder, "bin", "gangway"))
    return folder


def make_app(**files):
    folder = tmpdir()
    for name, text in dict(files, app=APP).items():
        with open(os.path.join(folder, name.replace("_", ".") + (
                "" if "_" in name else ".py")), "w") as f:
            f.write(text)
    return folder


def says(name, want, *args, cwd=None, env=None, program=None):
    env = dict({"VENV": VENV}, **(env or {}))
    with Server("app", *args, cwd=cwd or make_app(), env=env,
                program=program) as s:
        with s.http() as c:
            is_(c.get("/").body.decode(), want, name)
        is_(s.stop(), 0, name + ": stops with 0")


def environments():
    says("none", "nothing False None")
    says("VIRTUAL_ENV", "found True None", env={"VIRTUAL_ENV": VENV})
    says("--virtualenv", "found True None", "--virtualenv", VENV)
    says("gangway.ini", "found True None", cwd=make_app(
        gangway_ini="[gangway]\nvirtualenv = %s\n" % VENV))
    says("gunicorn.conf.py beside it", "found True None",
         cwd=make_app(gunicorn_conf_py="threads = 2\n"),
         env={"VIRTUAL_ENV": VENV})
    says("called in its bin/", "found True None",
         program=os.path.join(VENV, "bin", "gangway"))
    says("its bin/ before VIRTUAL_ENV", "found True None",
         program=os.path.join(VENV, "bin", "gangway"),
         env={"VIRTUAL_ENV": "/no/such/folder"})


def variables():
    says("raw_env of a gunicorn.conf.py", "nothing False conf",
         cwd=make_app(gunicorn_conf_py="raw_env = ['WHO=conf']\n"))
    says("and with a preloaded application", "nothing False conf",
         "--preload",
         cwd=make_app(gunicorn_conf_py="raw_env = ['WHO=conf']\n"))
    says("[env] of a gangway.ini", "nothing False ini",
         cwd=make_app(gangway_ini="[env]\nWHO = ini\n"))
    says("--env before a gunicorn.conf.py", "nothing False flag",
         "--env", "WHO=flag", cwd=make_app(
             gunicorn_conf_py="import os\nassert os.environ['WHO'] == "
             "'flag'\n"))


def refusals():
    folder = make_app()
    for name, path, text in (
            ("a folder that is not there", "/no/such/folder", "not there"),
            ("a folder that is none", folder, "pyvenv.cfg")):
        with Server("app", "--virtualenv", path, cwd=folder,
                    wait=False) as s:
            is_(s.wait(), 3, name + ": exits 3")
            ok(path + " is not a virtual environment" in s.log() and
               text in s.log(), name + ": says so", s.log())


guard(600)
VENV = make_venv()
os.environ.pop("VIRTUAL_ENV", None)
together([(environments,), (variables,), (refusals,)])
done()
