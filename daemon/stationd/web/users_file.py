"""The users file: names, roles, and salted memory-hard hashes of passwords.

One account a line, C{name:role:scrypt$N$r$p$SALT$HASH}, salt and hash in base64;
C{#} begins a comment. Pure but for L{read_users} and L{write_users}.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable

import attrs

from stationd.errors import InvalidConfiguration, InvalidValue
from stationd.messages import allowed_values, file_reason_messages
from stationd.records import MAX_NAME_LENGTH

ROLES = ("admin", "user")

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 1
"""OWASP's parameters for scrypt: 32 MiB and a tenth of a second for each guess
(U{https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html})."""

SALT_BYTES = 16
HASH_BYTES = 32

SCRYPT_MAX_MEMORY = 256 << 20
"""Bytes that a line of the file can make us use: N, r and p come from it."""


@attrs.frozen
class Account:
    """Somebody who can log in.

    @ivar name: as it is typed, and as it stands in records.
    @ivar role: C{admin} or C{user}.
    @ivar hash: what L{hash_password} made of the password.
    """

    name: str
    role: str
    hash: str

    @property
    def admin(self) -> bool:
        """Whether it may clear the log and write as others."""
        return self.role == "admin"


def check_name(name: str) -> str:
    """The name, if an account can have it.

    @raise InvalidValue: it cannot.
    """
    if not 1 <= len(name) <= 64 or not name.isprintable() or set(name) & set(":, #"):
        raise InvalidValue("username", name, allowed_values.USERNAME)
    assert len(name) <= MAX_NAME_LENGTH
    return name


def hash_password(password: str, salt: bytes) -> str:
    """What is kept of a password. Takes a tenth of a second."""
    digest = hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=SCRYPT_N,
        r=SCRYPT_R,
        p=SCRYPT_P,
        dklen=HASH_BYTES,
        maxmem=SCRYPT_MAX_MEMORY,
    )
    encoded = [base64.b64encode(part).decode() for part in (salt, digest)]
    return f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${encoded[0]}${encoded[1]}"


def verify_password(password: str, hash: str) -> bool:
    """Whether a password is the one of a hash, in time that does not tell where
    they differ."""
    _, n, r, p, salt, digest = hash.split("$")
    expected = base64.b64decode(digest)
    found = hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=base64.b64decode(salt),
        n=int(n),
        r=int(r),
        p=int(p),
        dklen=len(expected),
        maxmem=SCRYPT_MAX_MEMORY,
    )
    return hmac.compare_digest(found, expected)


def parse_users(path: str, text: str) -> dict[str, Account]:
    """The accounts of a file's text, by name.

    @param path: what the file is called in errors.
    @raise InvalidConfiguration: a line is not an account; it says which.
    """
    accounts: dict[str, Account] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            account = _parse_account(line.strip())
        except ValueError as error:
            raise InvalidConfiguration(path, _at(number, error)) from error
        if account.name in accounts:
            twice = file_reason_messages.USERS_NAME_TWICE.render(name=account.name)
            raise InvalidConfiguration(path, _at(number, twice))
        accounts[account.name] = account
    return accounts


def _at(number: int, error: object) -> str:
    return file_reason_messages.USERS_LINE.render(number=number, error=error)


def _parse_account(line: str) -> Account:
    name, role, hash = (*line.split(":", 2), "", "")[:3]
    try:
        check_name(name)
    except InvalidValue as error:
        raise ValueError(str(error)) from error
    if role not in ROLES:
        roles = " or ".join(ROLES)
        raise ValueError(file_reason_messages.USERS_ROLE.render(name=name, role=role, roles=roles))
    parts = hash.split("$")
    try:
        kind, n, r, p, salt, digest = parts
        cost = 128 * int(n) * int(r) * int(p)
        encoded = [base64.b64decode(part, validate=True) for part in (salt, digest)]
    except (ValueError, binascii.Error):
        raise ValueError(file_reason_messages.USERS_HASH_MALFORMED.render(name=name)) from None
    if kind != "scrypt" or not 0 < cost < SCRYPT_MAX_MEMORY or min(map(len, encoded)) < 8:
        raise ValueError(file_reason_messages.USERS_HASH_UNSAFE.render(name=name))
    return Account(name, role, hash)


def read_users(path: str) -> dict[str, Account]:
    """The accounts of a file; none if there is no file.

    @raise InvalidConfiguration: it cannot be read or is not a users file.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return parse_users(path, file.read())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(path, str(error)) from error


def write_users(path: str, accounts: Iterable[Account]) -> None:
    """Put accounts in place of a file, readable by its owner only. Whoever reads it
    finds the old ones or the new ones, whatever happens.

    @raise OSError: it cannot be written.
    """
    lines = [f"{account.name}:{account.role}:{account.hash}\n" for account in accounts]
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
