"""C{stationctl}: what is done to stationd from a shell. It imports no Twisted, so it
starts in the time that Python does."""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import sys
from collections.abc import Sequence

from stationd.cli.journal import add_commands
from stationd.errors import InvalidValue, StationdError
from stationd.web.users_file import (
    SALT_BYTES,
    Account,
    check_name,
    hash_password,
    read_users,
    write_users,
)

DEFAULT_USERS_FILE = "/etc/stationd/users"

MIN_PASSWORD_LENGTH = 8


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code, 1 after an error."""
    options = _build_parser().parse_args(arguments)
    try:
        options.do(options)
    except (StationdError, OSError) as error:
        print(f"stationctl: {error}", file=sys.stderr)
        return 1
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stationctl", description="Look after stationd.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    user = commands.add_parser("user", help="who can log in")
    user.add_argument(
        "--users", default=DEFAULT_USERS_FILE, metavar="FILE", help="the users file (%(default)s)"
    )
    actions = user.add_subparsers(required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add a user")
    add.add_argument("name")
    add.add_argument("--admin", action="store_true", help="may clear the log, write as others")
    add.set_defaults(do=_add_user)
    password = actions.add_parser("password", help="give a user another password")
    password.add_argument("name")
    password.set_defaults(do=_set_password)
    for action in (add, password):
        source = action.add_mutually_exclusive_group()
        source.add_argument("--password-stdin", action="store_true", help="read it from stdin")
        source.add_argument("--generate", action="store_true", help="make one and print it")
    remove = actions.add_parser("remove", help="remove a user")
    remove.add_argument("name")
    remove.set_defaults(do=_remove_user)
    actions.add_parser("list", help="show all users").set_defaults(do=_list_users)
    add_commands(commands)
    return parser


def _add_user(options: argparse.Namespace) -> None:
    accounts = read_users(options.users)
    name = check_name(options.name)
    if name in accounts:
        raise InvalidValue("name", name, "a new one; see 'stationctl user password'")
    accounts[name] = Account(name, "admin" if options.admin else "user", _new_hash(options))
    write_users(options.users, accounts.values())


def _set_password(options: argparse.Namespace) -> None:
    accounts = read_users(options.users)
    account = _require_user(accounts, options.name)
    accounts[account.name] = Account(account.name, account.role, _new_hash(options))
    write_users(options.users, accounts.values())


def _remove_user(options: argparse.Namespace) -> None:
    accounts = read_users(options.users)
    del accounts[_require_user(accounts, options.name).name]
    write_users(options.users, accounts.values())


def _list_users(options: argparse.Namespace) -> None:
    for account in read_users(options.users).values():
        print(f"{account.name}\t{account.role}")


def _require_user(accounts: dict[str, Account], name: str) -> Account:
    if name not in accounts:
        there = f"one of {', '.join(accounts)}" if accounts else "nobody yet: add one first"
        raise InvalidValue("name", name, there)
    return accounts[name]


def _new_hash(options: argparse.Namespace) -> str:
    if options.generate:
        password = secrets.token_urlsafe(12)
        print(password)
    elif options.password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = getpass.getpass(f"Password for {options.name}: ")
        if getpass.getpass("Again: ") != password:
            raise InvalidValue("password", "…", "the same one twice")
    if len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidValue("password", "…", f"at least {MIN_PASSWORD_LENGTH} characters")
    return hash_password(password, os.urandom(SALT_BYTES))
