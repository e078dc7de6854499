"""The remembered grammar tables: right, robust, and never needed."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from gatec import cache

SCRIPT = """
from gatec import source, syntax
from gatec.parse import parse
print(syntax.show(parse(source.read("lstm")[0])))
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gatec"


def parsed(**env):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_read_and_write(home):
    assert cache.read("kind", b"key") is None
    cache.write("kind", b"key", b"content")
    assert cache.read("kind", b"key") == b"content"
    assert cache.read("kind", b"other") is None
    assert home.stat().st_mode & 0o077 == 0
    assert not list(home.glob("*.tmp"))


def test_damage_is_noticed(home):
    cache.write("kind", b"key", b"content")
    (entry,) = home.iterdir()
    for damaged in (b"", b"short", entry.read_bytes()[:-1], entry.read_bytes() + b"x"):
        entry.write_bytes(damaged)
        assert cache.read("kind", b"key") is None
    entry.unlink()
    entry.mkdir()
    assert cache.read("kind", b"key") is None
    cache.write("kind", b"key", b"content")
    assert not list(home.glob("*.tmp"))


def test_a_folder_that_others_write_to_is_not_trusted(home):
    cache.write("kind", b"key", b"content")
    home.chmod(0o777)
    assert cache.read("kind", b"key") is None


def test_no_folder(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for place in (str(tmp_path / "file"), "/proc/nowhere", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", place)
        cache.write("kind", b"key", b"content")
        assert cache.read("kind", b"key") is None


def test_the_parser_is_the_same_with_and_without(home):
    fresh = parsed()
    (entry,) = home.glob("grammar-*")
    assert parsed() == fresh
    assert parsed(XDG_CACHE_HOME="/proc/nowhere") == fresh
    # A sound entry that holds something else: a pickle that would call a function.
    content = b"cos\nsystem\n(S'echo called'\ntR."
    entry.write_bytes(cache.hashlib.sha256(content).digest() + content)
    assert parsed() == fresh


def test_many_at_once(home):
    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(lambda _: parsed(), range(8)))
    assert len(results) == 1
    assert [path.name.split("-")[0] for path in home.iterdir()] == ["grammar"]
