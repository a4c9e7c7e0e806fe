"""What all commands have in common: options, help, exit codes, and errors of one line."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
import typer.main
from typer.testing import CliRunner

from runtime.cli import Commands, app
from runtime.cli.common import DEFAULT_DATA_DIR, Call, command
from runtime.cli.output import Table, plain, printable
from runtime.settings import Settings
from tests.runtime.conftest import Rehydrate, change
from tests.runtime.filled import fill

ROOT = Path(__file__).parent.parent.parent


def _commands(group: Any, path: str = "rehydrate") -> Iterator[tuple[str, Any]]:
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            yield from _commands(found, f"{path} {name}")
        else:
            yield f"{path} {name}", found


COMMANDS = dict(_commands(typer.main.get_group(app)))


def outside(*words: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """Call `rehydrate` in a process of its own."""
    argv = [sys.executable, "-m", "runtime.cli", *words]
    return subprocess.run(
        argv, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False, **options
    )


# --- options and help -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_takes_the_common_options(name: str) -> None:
    """A line of summary that fits into the list of commands, examples that begin with the command, and all options."""
    words = name.split()[1:]
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "100"})
    summary = COMMANDS[name].get_short_help_str(100)
    assert shown.exit_code == 0
    assert 0 < len(summary) <= 80 and summary.endswith(".")
    assert "Examples:" in shown.stdout and f"  {name}" in shown.stdout
    for option in ("--data-dir DIR", "--database URL", "--kafka HOST:PORT[,…]", "--json", "-q", "-v", "--no-color"):
        assert option in shown.stdout


def test_options_may_stand_before_the_command(data: Path, rehydrate: Rehydrate, tmp_path: Path) -> None:
    """What stands behind the command is nearer to it and wins."""
    assert rehydrate("--json", "--data-dir", str(data), "status").document["data_dir"] == str(data)
    assert rehydrate("--data-dir", str(tmp_path / "no"), "status", "--json", "--data-dir", str(data)).code == 0


def test_an_option_wins_over_the_environment_and_that_over_the_default(data: Path, rehydrate: Rehydrate, tmp_path: Path) -> None:
    """The data dir of the environment is used unless an option names another."""
    assert rehydrate("status", "--json").document["data_dir"] == str(data)
    assert rehydrate("status", "--data-dir", str(tmp_path / "no")).code == 2
    assert Settings.model_fields["data_dir"].default == DEFAULT_DATA_DIR


def test_a_data_dir_remembers_its_database(tmp_path: Path, rehydrate: Rehydrate) -> None:
    """`--database` is given once; another one than the first is refused, and both are named."""
    elsewhere, data = tmp_path / "other.db", tmp_path / "data"
    fill(data, database=f"sqlite:///{elsewhere}")
    assert elsewhere.exists() and not (data / "events.db").exists()
    known = rehydrate("replay", "list", "--json").document
    assert known and rehydrate("replay", "list", "--json", "--database", f"sqlite:///{elsewhere}").document == known
    refused = rehydrate("replay", "list", "--database", "postgresql://me:secret@host/db")
    assert refused.code == 2
    assert f"its events are in sqlite:///{elsewhere}, not in postgresql://me@host/db" in refused.error


def test_help_and_status_import_nothing_that_takes_long(data: Path) -> None:
    """What they need is small, so that they are quick."""
    script = (
        "import sys; from runtime.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "slow = {'sqlalchemy', 'pydantic_settings', 'aiokafka', 'faststream', 'rich', 'confluent_kafka'}\n"
        "print('slow:', *(slow & set(sys.modules)), file=sys.stderr)\n"
    )
    for words in (["--help"], ["status", "--data-dir", str(data)]):
        ended = subprocess.run([sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, check=True)
        assert ended.stdout
        assert ended.stderr.splitlines()[-1] == "slow:"


# --- errors -----------------------------------------------------------------------------------------------------------------


def test_no_data_dir(rehydrate: Rehydrate, tmp_path: Path) -> None:
    """The line names the place and both remedies."""
    ended = rehydrate("status")
    assert ended.code == 2
    assert ended.error == f"error: {tmp_path / 'data'}: no data of a swarm here; give --data-dir, or begin with `rehydrate run`"


def test_a_data_dir_of_another_version(data: Path, rehydrate: Rehydrate) -> None:
    """It is left alone."""
    (data / "rehydrate.json").write_text('{"program": "rehydrate", "version": 99}')
    ended = rehydrate("replay", "list")
    assert ended.code == 2 and "written by version 99" in ended.error


def test_a_store_of_another_version(data: Path, rehydrate: Rehydrate) -> None:
    """The error of the store is one line, too."""
    change(data / "events.db", "UPDATE meta SET value = '99'")
    ended = rehydrate("replay", "list", "--json")
    assert ended.code == 2 and "has store version 99" in ended.error


def test_read_models_of_another_version(data: Path, rehydrate: Rehydrate) -> None:
    """The remedy is named, and helps."""
    change(data / "read.db", "UPDATE read_schema SET version = '0-old'")
    ended = rehydrate("workflows", "list")
    assert ended.code == 2 and "rehydrate projections rebuild" in ended.error
    assert rehydrate("projections", "rebuild").code == 0
    assert rehydrate("workflows", "list").code == 0


def test_a_folder_of_something_else_is_no_data_dir(rehydrate: Rehydrate, tmp_path: Path) -> None:
    """Nothing is created in it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letter.txt").write_text("dear")
    assert "no data of a swarm here" in rehydrate("agents", "list").error
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["letter.txt"]


def test_events_that_are_lost_are_told_by_every_command(data: Path, rehydrate: Rehydrate) -> None:
    """Nobody begins a new store in the place of the old one, which would look like an empty success."""
    assert rehydrate("status").code == 0
    (data / "events.db").unlink()
    for words in (["status"], ["projections", "rebuild"], ["replay", "verify"], ["store", "stats"]):
        ended = rehydrate(*words)
        assert ended.code == 2 and f"{data / 'events.db'}: the events are gone" in ended.error
    assert not (data / "events.db").exists()


def test_the_events_of_another_data_dir_are_told(data: Path, rehydrate: Rehydrate, tmp_path: Path) -> None:
    """A file that was put in the wrong place fits to nothing else there; a copy of the right one does."""
    copied = shutil.copy(data / "events.db", tmp_path / "copy.db")
    rehydrate("replay", "list")
    fill(tmp_path / "other", 1, seed=5)
    shutil.copy(tmp_path / "other" / "events.db", data / "events.db")
    for words in (["replay", "list"], ["projections", "rebuild"]):
        ended = rehydrate(*words)
        assert ended.code == 2 and "is not the event store of" in ended.error and "--data-dir" in ended.error
    shutil.copy(copied, data / "events.db")
    assert rehydrate("replay", "list").code == 0


def test_an_event_store_that_cannot_be_opened(data: Path, rehydrate: Rehydrate) -> None:
    """The work failed, which is exit code 1."""
    (data / "events.db").unlink()
    (data / "events.db").mkdir()
    ended = rehydrate("replay", "list")
    assert ended.code == 1 and "unable to open database file" in ended.error


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_data_dir_that_is_read_only(data: Path, rehydrate: Rehydrate) -> None:
    """One line that names the file."""
    (data / "events.db").chmod(0o400)
    data.chmod(0o500)
    try:
        ended = rehydrate("replay", "list")
    finally:
        data.chmod(0o700)
    assert ended.code in {1, 2} and str(data) in ended.error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["statsu"], "No such command 'statsu'. Did you mean 'status'?"),
        (["status", "--loud"], "No such option: --loud"),
        (["replay", "show"], "Missing argument 'STREAM'"),
        (["status", "--database", "postgresql://me:secret@host/db"], "its events are in"),
        (["status", "--database", "sqlite://x"], "--database sqlite:…: events are kept in SQLite (sqlite:///PATH"),
        (["status", "--database", "postgresql://me:secret@host"], "its events are in"),
        (["settings", "--database", "mysql://me:secret@host/db"], "--database mysql:…"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(data: Path, rehydrate: Rehydrate, words: list[str], said: str) -> None:
    """Neither a usage text nor a password stands in it."""
    ended = rehydrate(*words)
    assert ended.code == 2
    assert said in ended.error and "secret" not in ended.error


def test_a_group_alone_prints_its_help(rehydrate: Rehydrate) -> None:
    """It is still no good usage."""
    ended = rehydrate("replay")
    assert (ended.code, ended.out) == (2, "")
    assert "verify" in ended.err


# --- commands that go wrong -------------------------------------------------------------------------------------------------


def _trying(*words: str) -> Any:
    """An app like ours with a command that ends as it is told."""
    made = typer.Typer(cls=Commands, rich_markup_mode=None, add_completion=False)

    @command(made, "other")
    def other(call: Call) -> None:
        """Is there so that there are two."""

    @command(made, "end")
    def end(call: Call, how: Annotated[str, typer.Argument()]) -> int:
        """End."""
        if how == "interrupted":
            raise KeyboardInterrupt
        if how == "unexpected":
            raise KeyError("missing\npart")
        return int(how)

    return CliRunner().invoke(made, ["end", *words])


def test_what_a_command_returns_is_its_exit_code() -> None:
    """A check that deviated ends with 3."""
    assert [_trying(code).exit_code for code in ("0", "1", "3")] == [0, 1, 3]


def test_an_interrupted_command_ends_with_130() -> None:
    """As shells expect it."""
    assert _trying("interrupted").exit_code == 130


def test_an_unexpected_error_is_a_line_that_names_the_log_and_the_option(data: Path) -> None:
    """The traceback is kept where the line says."""
    ended = _trying("unexpected", "--data-dir", str(data))
    log = data / "logs" / "cli.log"
    assert ended.exit_code == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: unexpected KeyError") and str(log) in line and "-v" in line
    assert "Traceback" in log.read_text()


def test_with_v_an_unexpected_error_shows_where_it_came_from(tmp_path: Path) -> None:
    """For whoever is going to mend it."""
    assert "Traceback" in _trying("unexpected", "-v", "--data-dir", str(tmp_path)).stderr


def test_a_reader_that_goes_away_is_no_error(data: Path) -> None:
    """`rehydrate replay list | head` ends quietly."""
    argv = [sys.executable, "-m", "runtime.cli", "replay", "list", "--data-dir", str(data)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# --- commands of rooms above ------------------------------------------------------------------------------------------------


def _installed(tmp_path: Path, module: str) -> dict[str, str]:
    """An environment in which a distribution adds the command `extra`."""
    about = tmp_path / "extra-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[rehydrate.commands]\nextra = extra_commands:extra\n")
    (tmp_path / "extra_commands.py").write_text(module)
    return {"PYTHONPATH": str(tmp_path)}


GOOD = '''
import typer
from runtime.cli.common import Call, command
extra = typer.Typer(help="Something more.", rich_markup_mode=None)
@command(extra, "do", "rehydrate extra do")
def do(call: Call) -> int:
    """Do it."""
    call.out.result({"dir": call.data_dir}, "done")
    return 3
'''


def test_a_room_above_adds_a_command(tmp_path: Path) -> None:
    """It is listed, called with the common options, and its exit code counts."""
    env = _installed(tmp_path, GOOD)
    assert "Something more." in outside("--help", env=env).stdout
    ended = outside("--json", "extra", "do", "--data-dir", "x", env=env)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, '{"dir":"x"}\n', "")


def test_a_command_that_cannot_be_loaded_harms_nobody_else(tmp_path: Path) -> None:
    """It is left out of the list; called, it says so in a line."""
    env = _installed(tmp_path, "import there_is_no_such_module\n")
    listed = outside("--help", env=env)
    assert listed.returncode == 0 and "extra" not in listed.stdout
    ended = outside("extra", env=env)
    assert ended.returncode == 2
    assert ended.stderr == "error: the command 'extra' is not in this installation: extra_commands:extra cannot be loaded\n"


# --- settings and output ----------------------------------------------------------------------------------------------------


def test_settings_say_where_each_came_from_and_mask_secrets(
    rehydrate: Rehydrate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every setting is listed once."""
    monkeypatch.setenv("REHYDRATE_HMAC_KEY", "opensesame")
    monkeypatch.setenv("REHYDRATE_WINDOW", "7")
    monkeypatch.setenv("REHYDRATE_DATABASE", "postgresql://me:opensesame@host:5432/shop")
    ended = rehydrate("settings", "--json", "--kafka", "there:9092")
    found = {setting["name"]: setting for setting in ended.document}
    assert set(found) == set(Settings.model_fields)
    assert found["kafka"] == {"name": "kafka", "value": "there:9092", "source": "option"}
    assert found["database"]["value"] == "postgresql://me@host:5432/shop"
    assert "opensesame" not in ended.out
    assert found["window"] == {"name": "window", "value": 7, "source": "environment"}
    assert found["data_dir"] == {"name": "data_dir", "value": str(tmp_path / "data"), "source": "environment"}
    assert found["currency"] == {"name": "currency", "value": "USD", "source": "default"}
    assert found["hmac_key"]["source"] == "environment"
    assert "opensesame" not in ended.out + rehydrate("settings").out


def test_a_setting_that_makes_no_sense_is_named(rehydrate: Rehydrate, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable that has to be mended."""
    monkeypatch.setenv("REHYDRATE_WINDOW", "many")
    ended = rehydrate("settings")
    assert ended.code == 2 and "REHYDRATE_WINDOW" in ended.error


def test_a_table_is_plain_columns_where_no_terminal_is() -> None:
    """Numbers stand right, nothing is cut, and what is empty is visible."""
    shown = plain(Table(("name", ">count"), [("a", 10), ("longer", None)], title="things"))
    assert shown == "things\nname    count\na          10\nlonger      –\n"


def test_what_came_from_outside_cannot_steer_a_terminal() -> None:
    """Escape sequences are shown as what they are."""
    assert printable("a\x1b[2Jb\tc\n") == "a\ufffd[2Jb\tc\n"
