#!/usr/bin/python3
"""The example application, under the standard library's WSGI validator."""

import io
import json
import os
import sys
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

top = os.environ.get("top_srcdir", ".")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(top, "shim", "example"))
import passenger_wsgi  # noqa: E402

count = 0


def ok(cond, name):
    global count
    count += 1
    print("%sok %d - %s" % ("" if cond else "not ", count, name))


def call(method, path, query="", body=b"", **extra):
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "",
               "QUERY_STRING": query, "wsgi.input": io.BytesIO(body)}
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    environ.update(extra)
    setup_testing_defaults(environ)
    got = []

    def start_response(status, headers, exc_info=None):
        got.append((status, dict(headers)))
        return lambda data: None

    result = validator(passenger_wsgi.application)(environ, start_response)
    try:
        data = b"".join(result)
    finally:
        result.close()
    status, headers = got[0]
    if method != "HEAD" and int(headers.get("Content-Length", -1)) \
            != len(data):
        status += " (wrong length)"
    return status, headers, data.decode("utf-8", "replace")


def upload(name, data):
    boundary = "xyz"
    body = ("--%s\r\nContent-Disposition: form-data; name=\"f\"; "
            "filename=\"%s\"\r\nContent-Type: text/plain\r\n\r\n"
            % (boundary, name)).encode() + data + b"\r\n--xyz--\r\n"
    return {"body": body, "CONTENT_TYPE":
            "multipart/form-data; boundary=" + boundary}


for method, path, query, status in (
        ("GET", "/", "", "200 OK"),
        ("HEAD", "/", "", "200 OK"),
        ("GET", "/health", "", "200 OK"),
        ("GET", "/slow", "s=0", "200 OK"),
        ("GET", "/slow", "s=-1&x=%00", "200 OK"),
        ("GET", "/download", "kb=3", "200 OK"),
        ("GET", "/download", "kb=nan", "200 OK"),
        ("GET", "/nowhere", "", "404 Not Found"),
        ("GET", "/echo", "", "405 Method Not Allowed"),
        ("DELETE", "/", "", "405 Method Not Allowed")):
    ok(call(method, path, query)[0] == status,
       "%s %s?%s is %s" % (method, path, query, status))

ok(call("GET", "/health")[2] == "ok", "health says ok")
ok(len(call("GET", "/download", "kb=99999999")[2]) <= 64 << 20,
   "a download is bounded")
try:
    call("GET", "/error")
    ok(False, "an error is raised")
except RuntimeError:
    ok(True, "an error is raised")

page = call("GET", "/", "token=s3cret&a=<script>",
            HTTP_COOKIE="sid=s3cret", HTTP_AUTHORIZATION="Basic s3cret",
            HTTP_X_FOO="<b>")[2]
ok("s3cret" not in page, "secrets are masked")
ok("<script>" not in page and "<b>" not in page and "&lt;b&gt;" in page,
   "what was sent is escaped")
page = call("GET", "/", **{"gangway.settings": [
    ("threads", "4", "default"), ("workers", "3", "env GUNICORN_WORKERS"),
    ("statsd_host", "None", "default"), ("worker_class", "gthread", "default"),
    ("bind", "['a:1', 'b:2']", "command line"),
    ("raw_env", ["DB_PASSWORD=s3cret"], "gangway.ini:4")]})[2]
ok("env GUNICORN_WORKERS" in page and "1 more at their defaults" in page,
   "settings are shown with their sources")
ok(page.index("<td>threads") < page.index("<details>") <
   page.index("<td>statsd_host<td>\u2014"),
   "what matters is always shown, the rest on demand")
ok("3 workers, 4 threads each" in page, "the concurrency is known")
ok("<td>a:1, b:2<td" in page, "a list reads as one")
ok("s3cret" not in page and "DB_PASSWORD" in page,
   "a secret in a setting is masked")
page = call("GET", "/", **{"gangway.host": "fastcgi", "gangway.settings": [
    ("threads", "4", "default", "in force"),
    ("worker_class", "gthread", "default", "in force"),
    ("workers", "5", "default", "left to the host: <as many>"),
    ("umask", "0", "default", "left to the host: the socket"),
    ("pidfile", "/x", "default", "overridden by the host: several")]})[2]
ok("spawn-fcgi, multiwatch" in page and
   "keeps 3 of 5 to itself, 1 of them although" in page,
   "the host is named, and what it keeps to itself")
ok(all(text in page for text in (
    '<span class="chip force">in force</span>',
    '<span class="chip">left to the host</span> &lt;as many&gt;',
    '<span class="chip over">overridden by the host</span> several')),
   "each setting is in force, left to the host or overridden, with why")
ok(page.index("<td>pidfile") < page.index("<details>") <
   page.index("<td>umask"), "what is overridden is always shown")
ok("as many processes as the host starts, 4 threads each" in page,
   "workers that do not count here are not counted")
page = call("GET", "/", SCRIPT_NAME="/mount")[2]
ok('action="/mount/"' in page and 'href="/mount/health"' in page,
   "links stay below SCRIPT_NAME")

facts = json.loads(call("POST", "/echo", "a=b", b"x=1&password=s3cret",
                        CONTENT_TYPE="application/x-www-form-urlencoded")[2])
ok(facts["length"] == 19 and facts["fields"][0] == ["x", "1"],
   "echo tells the length and the fields")
ok("s3cret" not in json.dumps(facts), "echo masks secrets")
facts = json.loads(call("POST", "/echo", **upload("a<b>.txt", b"hello"))[2])
ok(facts["fields"] == [["f", "file \u201ca<b>.txt\u201d, 5 bytes"]],
   "an upload is understood")
facts = json.loads(call("POST", "/echo", **upload("big", b"x" * 3000000))[2])
ok(facts["length"] > 3000000 and facts["fields"] == [],
   "a large upload is counted, not looked into")
ok("a&lt;b&gt;.txt" in call("POST", "/", **upload("a<b>.txt", b""))[2],
   "the page escapes a file's name")
ok(call("POST", "/", body=b"\xff", CONTENT_TYPE="multipart/form-data")[0]
   == "200 OK", "a multipart body without a boundary")
page = call("GET", "/", **{"gangway.settings": [
    ("chdir", "/srv/caf\udce9", "command line", "in force")]})
ok(page[0] == "200 OK" and "/srv/caf?" in page[2],
   "a name that is not UTF-8 is shown as far as it can be")
print("1..%d" % count)
