"""python3 manage.py prepare: the database and a user, in T_DB's folder."""
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import django  # noqa: E402
from django.core.management import call_command, execute_from_command_line  # noqa: E402

if sys.argv[1:] == ["prepare"]:
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    from django.contrib.auth.models import User
    User.objects.create_superuser("anna", "anna@example.invalid", "secret-1")
else:
    execute_from_command_line(sys.argv)
