"""The admin, its static files, and views for form, upload and error."""
import hashlib

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import etag

try:
    import facts
except ImportError:     # where only the site itself was put
    facts = None


def index(request):
    return HttpResponse("hello " + (request.user.username or "stranger"))


@csrf_exempt
def form(request):
    return JsonResponse({"post": dict(request.POST.lists()),
                         "get": dict(request.GET.lists()),
                         "files": {k: [f.name, f.size]
                                   for k, f in request.FILES.items()}})


@csrf_exempt
def upload(request):
    body = request.body
    return JsonResponse({"length": len(body),
                         "sha256": hashlib.sha256(body).hexdigest()})


def stream(request):
    return StreamingHttpResponse(b"line %d\n" % i for i in range(1000))


def error(request):
    raise RuntimeError("planned")


@csrf_exempt
def echo(request, rest):
    # Django has put text in the place of WSGI's bytes.
    path = request.environ["PATH_INFO"].encode().decode("latin-1")
    return JsonResponse(facts.echo(dict(request.environ, PATH_INFO=path),
                                   request.body))


def send(request, n):
    answer = streamed(request, n)
    answer["Content-Length"] = n
    return answer


def streamed(request, n):
    return StreamingHttpResponse(facts.Download(n),
                                 content_type="application/octet-stream")


@etag(lambda request: '"one"')
def tagged(request):
    return HttpResponse("tagged")


def empty(request):
    return HttpResponse(status=204)


def cookies(request):
    answer = JsonResponse(request.COOKIES)
    for n in range(3):
        answer.set_cookie("c%d" % n, "v%d" % n)
    return answer


def headers(request):
    answer = HttpResponse("headers")
    for n in range(200):
        answer["X-Many-%d" % n] = str(n)
    return answer


urlpatterns = [path("", index), path("form", form), path("upload", upload),
               path("stream", stream), path("error", error),
               path("echo/<path:rest>", echo), path("send/<int:n>", send),
               path("streamed/<int:n>", streamed), path("tagged", tagged),
               path("empty", empty), path("cookies", cookies),
               path("headers", headers),
               path("admin/", admin.site.urls),
               re_path(r"^static/(?P<path>.*)$", serve, {"insecure": True})]
