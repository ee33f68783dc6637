"""A small Flask site: session login, form, upload, download, static, errors."""
import hashlib
import os

from flask import (Flask, Response, abort, jsonify, make_response, redirect,
                   render_template_string, request, send_file, session,
                   url_for)

import facts

app = Flask(__name__, static_folder=os.environ.get("T_STATIC", "."),
            static_url_path="/static")
app.secret_key = "only for tests"
PAGE = """<!doctype html><title>{{ title }}</title>
<form method=post><input name=name value="{{ name }}"><input type=submit>
</form><p>{{ name or "nobody" }} at {{ url_for("index", _external=True) }}
"""


@app.route("/")
def index():
    return render_template_string(PAGE, title="index",
                                  name=session.get("name", ""))


@app.route("/hello")
def hello():
    return "Hello, World!"


@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "POST":
        session["name"] = request.form["name"]
        return redirect(url_for("index"))
    return render_template_string(PAGE, title="login", name="")


@app.route("/form", methods=["POST"])
def form():
    return jsonify(form=request.form.to_dict(flat=False),
                   query=request.args.to_dict(flat=False),
                   files={k: [f.filename, len(f.read())]
                          for k, f in request.files.items()})


@app.route("/upload", methods=["POST"])
def upload():
    digest, n = hashlib.sha256(), 0
    while chunk := request.stream.read(65536):
        digest.update(chunk)
        n += len(chunk)
    return jsonify(length=n, sha256=digest.hexdigest())


@app.route("/download")
def download():
    return send_file(os.environ["T_BIG"], mimetype="application/octet-stream",
                     conditional=True)


@app.route("/environ")
def environ():
    names = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "REQUEST_METHOD",
             "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_TEST")
    return jsonify({n: request.environ.get(n) for n in names},
                   url=request.url)


@app.route("/error")
def error():
    raise RuntimeError("planned")


@app.route("/echo/<path:rest>", methods=[
    "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"],
    provide_automatic_options=False)
def echo(rest):
    return jsonify(facts.echo(request.environ, request.get_data()))


@app.route("/send/<int:n>")
def send(n):
    return Response(facts.Download(n), mimetype="application/octet-stream",
                    headers={"Content-Length": n})


@app.route("/streamed/<int:n>")
def streamed(n):
    return Response(facts.Download(n), mimetype="application/octet-stream")


@app.route("/tagged")
def tagged():
    answer = make_response("tagged")
    answer.set_etag("one")
    return answer.make_conditional(request)


@app.route("/empty")
def empty():
    return "", 204


@app.route("/cookies")
def cookies():
    answer = jsonify(request.cookies)
    for n in range(3):
        answer.set_cookie("c%d" % n, "v%d" % n)
    return answer


@app.route("/headers")
def headers():
    return "headers", {"X-Many-%d" % n: str(n) for n in range(200)}


@app.route("/teapot")
def teapot():
    abort(418)


application = app
