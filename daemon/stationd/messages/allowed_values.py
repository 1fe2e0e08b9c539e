"""What is allowed in place of an invalid value: C{allowed} of L{stationd.errors.InvalidValue},
with C{{fields}} as L{str.format} knows them. All stand in one message, C{invalid-value}."""

from __future__ import annotations

from stationd.messages.message import constants

# Anywhere.

ONE_OF = "one of {choices}"
KEYS = "keys are {keys}"
STRING = "a string"

# The configuration.

CONFIGURATION_KEYS = "keys here are {keys}"
TABLE = "a table, [{key}]"
BOOLEAN = "a boolean"
PATH = "the path of a file or directory"
DURABILITY = 'the only one there is is "commit"'
DAYS = "whole days, 0 (for ever) to 36500"
SIZE = 'bytes, or a number with a unit as in "512 MiB", at least {least}'
SIZE_AT_MOST = "at most {greatest} bytes"
SIZE_UNITS = "units are {units}"
ENDPOINTS = 'a list of endpoints, as in ["tcp:9170:interface=127.0.0.1"]'
ENDPOINT_ONCE = "it stands there twice"
ENDPOINT_CHARACTERS = "an endpoint has printable characters only"
ENDPOINT_FOR_CLIENTS = "clients cannot connect to stdio"
ENDPOINT_PORT = "a port is 0 to 65535"
ENDPOINT_PATH = "the path of a Unix socket has 1 to {greatest} bytes"
ENDPOINT_MODE = "mode is 0 to 777, octal"
ENDPOINT_LOCK = "lockfile=0 is not possible: the lock keeps two daemons apart"

# Plugins, and the settings of those that come with stationd.

PLUGIN = "the name of a module with make_source"
PLUGIN_FUNCTION = "it has no function make_source"
PLUGIN_RESULT = "make_source has to return an ISource: {error}"
PLUGIN_TYPE = "the type of its source is {type!r}; a string that is not empty"
PLUGIN_FAILED = "{step} failed: {error}"
PLUGIN_IMPORT = "importing it"
PLUGIN_CALL = "make_source"
PLUGIN_LOOK = "looking at its source"
PLUGIN_PLACE = "{error} ({file}, line {line})"
PLUGIN_SILENT = "an error that cannot be shown"
DOCKER_URL = "unix:///path or tcp://host:port"
LXC_PATHS = "an absolute path, or a list of them"
ABSOLUTE_PATH = "an absolute path"

# What a record can hold.

RECORD_TIME = "seconds since the epoch, 0 to the end of the year 9999"
RECORD_UTF8 = "text that UTF-8 can hold: no lone surrogates"
RECORD_WORD = "1 to {greatest} printable characters, no colon and no comma"
RECORD_REFERENCE = "at most {greatest} printable characters"
RECORD_TEXT = "at most {greatest} bytes of UTF-8"

# Paths and queries.

PERCENT_ENCODED = "UTF-8, percent-encoded"
QUERY = "UTF-8, percent-encoded: {error}"
WHOLE_NUMBER = "a whole number, {least} to {greatest}"
DURATION = "seconds, 0 to {greatest:g}, decimals allowed"
TIME = "seconds since the epoch, whole or decimal, to the end of the year 9999; 0 is open"
TIME_END = "no earlier than time_start"
SOMETHING = "something; leave the parameter out for any"
CATEGORIES = "one or more categories, comma between"
LEVELS = "one or more of {levels}, comma between"
CONTAINER = "docker/ID, lxc/NAME, or a bare name or id"
NOTHING_EXCEPT = "this removes every record and takes no parameters, except {ignored}"
NO_BODY = "this removes every record and takes no parameters, and no body"

# Bodies.

CREDENTIAL = "a string; send username and password as a form or JSON"
USERNAME = "1 to 64 printable characters, none of ':', ',', '#', ' '"
RECORDS = "1 to {greatest} at once"
RECORDS_TOO_MANY = "more than {greatest} records"
RECORDS_NONE = "0 records"
OBJECT = "an object"
OBJECT_WITH = "an object with {keys}"
POSTED_CONTAINER = "docker/ID or lxc/NAME"
POSTED_TIME = "seconds since the epoch, a number, to the end of the year 9999"
JSON = "JSON in UTF-8: {error}"
JSON_NOT_SO_DEEP = "JSON that is not nested so deep"
JSON_AGAIN = "JSON that can be written again: {error}"
JSON_ARRAY = "Expecting an array"
JSON_COMMA = "Expecting ',' delimiter"
JSON_SIZE = "No document of at most {characters} characters and {values} values"
JSON_PARTS = "more than {greatest} objects and fractions in one record"
JSON_KEY_TWICE = "an object has the key {key!r} twice"
JSON_NO_DOUBLE = "no double holds the number {number}"
JSON_TOO_LONG = "longer than {greatest} bytes"
JSON_TOO_DEEP = "nested deeper than {greatest}"
JSON_EXTRA = "Extra data"
JSON_CONSTANT = "{constant} is no JSON number"

ALL = constants(globals())
