"""The configuration: every error says where, what, and what is allowed."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from stationd.config import Settings, SourceSettings, changed_settings, load_settings
from stationd.errors import InvalidConfiguration


class ConfigTests(SynchronousTestCase):
    """Files, and what is made of them."""

    def load(self, text: str | bytes) -> Settings:
        self.path = self.mktemp()
        with open(self.path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return load_settings(self.path)

    def test_an_empty_file_is_all_defaults(self) -> None:
        settings = self.load("")
        self.assertEqual(settings.retain_days, 0)
        self.assertEqual(settings.retain_bytes, 1 << 30)
        self.assertEqual([source.name for source in settings.sources], ["docker", "lxc"])

    def test_everything_said(self) -> None:
        settings = self.load(
            """
            [journal]
            directory = "/data"
            retain_days = 7
            retain_bytes = "1.5 MiB"
            durability = "commit"
            [http]
            endpoints = ["unix:/a"]
            [auth]
            users = "/u"
            [sources.docker]
            url = "unix:///d"
            [sources.own]
            plugin = "mine.source"
            """
        )
        self.assertEqual(
            settings,
            Settings(
                file=self.path,
                directory="/data",
                retain_days=7,
                retain_bytes=3 << 19,
                endpoints=("unix:/a",),
                users="/u",
                sources=(
                    SourceSettings(
                        name="docker",
                        plugin="stationd_plugins.docker.source",
                        settings={"url": "unix:///d"},
                    ),
                    SourceSettings(name="lxc", plugin="stationd_plugins.lxc.source", settings={}),
                    SourceSettings(name="own", plugin="mine.source", settings={}),
                ),
            ),
        )
        self.assertRaises(attrs.exceptions.FrozenInstanceError, setattr, settings, "file", "x")

    def test_sizes(self) -> None:
        for text, size in (("4194304", 1 << 22), ('"2 MiB"', 1 << 21), ('"3gib"', 3 << 30)):
            self.assertEqual(self.load(f"[journal]\nretain_bytes = {text}").retain_bytes, size)

    def test_errors(self) -> None:
        for text, expected in (
            (
                "[jurnal]",
                r"jurnal: \{\} is not allowed; keys here are auth, http, journal, sources",
            ),
            ("[journal]\nretain = 3", "journal.retain: 3 is not allowed; keys here are"),
            ("[journal]\nretain_days = -1", "journal.retain_days: -1 is not allowed; whole days"),
            ("[journal]\nretain_days = true", "journal.retain_days: True"),
            ("[journal]\nretain_bytes = 5", "journal.retain_bytes: 5 .* at least 1048576"),
            ('[journal]\nretain_bytes = "' + "9" * 5000 + ' GiB"', "retain_bytes: .* at most"),
            ("[journal]\nretain_bytes = 9999999999999999999", "retain_bytes: .* at most"),
            ("x = " + "1" * 5001, "not TOML: "),
            ("a = " + "[" * 5000, "not TOML: it is nested too deep"),
            ('[journal]\nretain_bytes = "5 MB"', "units are B, KiB, MiB, GiB, TiB"),
            ('[journal]\nretain_bytes = "lots"', "journal.retain_bytes: 'lots'"),
            ('[journal]\ndurability = "none"', 'the only one there is is "commit"'),
            ("[journal]\ndirectory = 5", "journal.directory: 5 .* path"),
            ("journal = 5", r"journal: 5 is not allowed; a table, \[journal\]"),
            ("[http]\nendpoints = []", "http.endpoints: .* a list of endpoints"),
            ("[sources.mine]", "sources.mine.plugin: None .* module with make_source"),
            ('[sources.mine]\nplugin = ""', "sources.mine.plugin: '' .* module with make_source"),
            ("sources.docker = 5", r"sources.docker: 5 is not allowed; a table"),
            ("[journal", "not TOML: "),
            (b"\xff\xfe", "not TOML"),
        ):
            error = self.assertRaises(InvalidConfiguration, self.load, text)
            self.assertTrue(str(error).startswith(f"{self.path}: "), error)
            self.assertRegex(str(error), expected)

    def test_a_file_that_is_not_there(self) -> None:
        error = self.assertRaises(InvalidConfiguration, load_settings, "/nowhere/stationd.toml")
        self.assertEqual(str(error), "/nowhere/stationd.toml: No such file or directory")

    def test_changes(self) -> None:
        before = self.load("[journal]\nretain_days = 3\n[sources.own]\nplugin='a'\npassword='x'")
        self.assertEqual(changed_settings(before, before), [])
        after = self.load("[journal]\nretain_days = 4\n[sources.lxc]\npath = '/x'")
        self.assertEqual(
            changed_settings(before, after),
            ["journal.retain_days from 3 to 4", "sources.lxc", "sources.own"],
        )
