"""C{make run}'s preparation of a directory: a configuration and an administrator.

What is there already stays as it is.
"""

from __future__ import annotations

import os
import secrets
import sys

from stationd.web.users_file import SALT_BYTES, Account, hash_password, write_users

CONFIGURATION = """\
# Made by the first run; etc/stationd.toml explains every key.

[journal]
directory = "{directory}"

[http]
endpoints = ["unix:{directory}/api.sock:mode=660", "tcp:9170:interface=127.0.0.1"]

[auth]
users = "{directory}/users"
"""


def main(directory: str) -> None:
    """Write what is missing, and say what was written."""
    directory = os.path.abspath(directory)
    os.makedirs(directory, mode=0o750, exist_ok=True)
    configuration = os.path.join(directory, "stationd.toml")
    if not os.path.exists(configuration):
        # A colon would end the path in an endpoint's description.
        escaped = directory.replace("\\", "\\\\").replace('"', '\\"')
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(CONFIGURATION.format(directory=escaped))
        print(f"wrote {configuration}")
    users = os.path.join(directory, "users")
    if not os.path.exists(users):
        password = secrets.token_urlsafe(9)
        write_users(
            users, [Account("admin", "admin", hash_password(password, os.urandom(SALT_BYTES)))]
        )
        print(f"wrote {users}: log in as admin, password {password} (shown once)")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m stationd.cli.first_run DIRECTORY")
    main(sys.argv[1])
