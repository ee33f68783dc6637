"""The admin, its static files, and views for form, upload and error."""
import hashlib

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt


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


urlpatterns = [path("", index), path("form", form), path("upload", upload),
               path("stream", stream), path("error", error),
               path("admin/", admin.site.urls),
               re_path(r"^static/(?P<path>.*)$", serve, {"insecure": True})]
