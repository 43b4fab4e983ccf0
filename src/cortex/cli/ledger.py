"""``cortex ledger``: verify, prove, show, report, archive; on this machine's files.

No server is asked. Reading works beside a running one; what is loaded for it is loaded
by the commands, so that the others start as quickly as before.
"""

import sys
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cortex.cli.command import command, fail, in_words
from cortex.cli.exits import Exit
from cortex.cli.printing import print_json, print_table, say
from cortex.foundation.clock import SystemClock
from cortex.foundation.errors import CortexError

if TYPE_CHECKING:
    from cortex.cli.ledger_files import Trusted
    from cortex.cli.ledger_report import Report
    from cortex.ledger.verdicts import Verification

UNPROVEN = 1
CANNOT_CHECK = 3

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Index = Annotated[int, typer.Argument(min=0, help="Place of the entry, from 0.")]
ArchiveUrl = Annotated[
    str,
    typer.Option(
        "--archive", help="Folder, file:// or s3:// URL; else CORTEX_LEDGER_ARCHIVE."
    ),
]


class Format(StrEnum):
    """How entries are exported."""

    JSONL = "jsonl"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Anchors:
    """What is trusted, from files kept outside the ledger."""

    head: Annotated[
        Path | None,
        typer.Option(help="A signed head kept elsewhere; else the pinned one."),
    ] = None
    key: Annotated[
        Path | None, typer.Option(help="The log's verifier keys; else the pinned ones.")
    ] = None
    policy: Annotated[
        Path | None, typer.Option(help="A tlog-policy: witnesses that must agree.")
    ] = None

    def trusted(self) -> "Trusted":
        """Return the files."""
        from cortex.cli.ledger_files import Trusted

        return Trusted(self.head, self.key, self.policy)


@command
def verify(
    anchors: Anchors,
    since: Annotated[
        int,
        typer.Option(min=0, help="Begin at the last pinned head of at most N entries."),
    ] = 0,
    deep: Annotated[
        bool, typer.Option("--deep", help="Check index and content beside, too.")
    ] = False,
    archive: ArchiveUrl = "",
    as_json: AsJson = False,
) -> int:
    """Verify the ledger's files against what is pinned outside them.

    Exit code 0: intact. 1: tampered with; the first bad entry is named. 2: incomplete,
    an archive object or a tile is missing. 3: cannot check, there is no key or head.

    Example: cortex ledger verify --head /mnt/elsewhere/head
    """
    from cortex.cli.ledger_files import ledger_files
    from cortex.ledger.verdicts import Reason

    try:
        found = ledger_files(archive).verify(
            anchors.trusted(),
            since=since,
            deep=deep,
            show_progress=sys.stderr.isatty() and not as_json,
        )
    except (CortexError, OSError) as error:
        # 1 would mean tampered.
        fail(in_words(error))
        return CANNOT_CHECK
    _print_verdict(found, as_json)
    if found.reason is Reason.NO_KEY:
        say("no ledger here yet? Start a server once, set CORTEX_HOME, or give --key")
    return found.exit_code


@command
def checkpoint(as_json: AsJson = False) -> None:
    """Print the newest signed head: keep it where the ledger's writers cannot reach.

    Example: cortex ledger checkpoint > /mnt/elsewhere/head
    """
    from cortex.cli.ledger_files import ledger_files
    from cortex.ledger.notes import encode64

    signed = ledger_files().checkpoint()
    if as_json:
        head = signed.checkpoint
        note = signed.encode().decode()
        root = encode64(head.root)
        print_json(
            {"origin": head.origin, "size": head.size, "root": root, "note": note}
        )
    else:
        print(signed.encode().decode(), end="")


@command
def key(as_json: AsJson = False) -> None:
    """Print the log's verifier keys, which outsiders pin.

    Example: cortex ledger key > log.vkey
    """
    from cortex.cli.ledger_files import ledger_files

    keys = [found.encode() for found in ledger_files().verifier_keys()]
    if as_json:
        print_json({"keys": keys})
    else:
        print("\n".join(keys))


@command
def prove(
    index: Index,
    out: Annotated[
        Path | None, typer.Option(help="Receipt's file; else INDEX.tlog-proof.")
    ] = None,
    entry: Annotated[
        Path | None, typer.Option(help="The entry's file; else INDEX.entry.")
    ] = None,
    archive: ArchiveUrl = "",
    as_json: AsJson = False,
) -> None:
    """Write a receipt for an entry, and the entry: together they verify anywhere.

    Example: cortex ledger prove 17 --out receipt --entry entry.json
    """
    from cortex.cli.ledger_files import ledger_files

    receipt, body = ledger_files(archive).prove(index)
    files = out or Path(f"{index}.tlog-proof"), entry or Path(f"{index}.entry")
    files[0].write_bytes(receipt)
    files[1].write_bytes(body)
    if as_json:
        print_json({"index": index, "receipt": str(files[0]), "entry": str(files[1])})
    else:
        print(f"{files[0]} proves {files[1]}")


@command
def check(
    receipt: Annotated[Path, typer.Argument(help="The receipt's file.")],
    entry: Annotated[Path, typer.Option(help="The entry's file.")],
    anchors: Anchors,
    as_json: AsJson = False,
) -> int:
    """Check a receipt with a verifier key alone: no ledger and no server is needed.

    Exit code 0: proven. 1: not proven. 3: there is nothing to check against.

    Example: cortex ledger check receipt --entry entry.json --key log.vkey
    """
    from cortex.cli.ledger_files import check_receipt
    from cortex.ledger.errors import KeyUnusable, PolicyInvalid

    try:
        proof = check_receipt(
            receipt.read_bytes(), entry.read_bytes(), anchors.trusted()
        )
    except (KeyUnusable, PolicyInvalid, OSError) as error:
        fail(in_words(error))
        return CANNOT_CHECK
    except CortexError as error:
        fail(error.message, error.hint)
        return UNPROVEN
    signed = proof.checkpoint
    origin = signed.checkpoint.origin
    if as_json:
        print_json(
            {"proven": True, "index": proof.index, "size": signed.size, "log": origin}
        )
    else:
        print(f"proven: entry {proof.index} of {signed.size} in {origin}")
    return Exit.OK


@command
def show(index: Index, archive: ArchiveUrl = "", as_json: AsJson = False) -> None:
    """Print one entry; with --json the exact bytes that are hashed.

    Example: cortex ledger show 17
    """
    from cortex.cli.ledger_files import ledger_files, told_entry

    body = ledger_files(archive).leaf(index)
    if as_json:
        print(body.decode())
        return
    for name, value in told_entry(index, body).items():
        if isinstance(value, dict):
            print(f"{name}:")
            for inner, item in value.items():
                print(f"  {inner}: {item}")
        else:
            print(f"{name}: {value}")


@command
def export(
    start: Annotated[
        int, typer.Option("--from", min=0, help="First entry to print.")
    ] = 0,
    archive: ArchiveUrl = "",
    format_: Annotated[
        Format, typer.Option("--format", help="Lines, or a table.")
    ] = Format.JSONL,
    out: Annotated[
        Path | None, typer.Option(help="File of the table; needed with parquet.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON list instead of lines.")
    ] = False,
) -> None:
    """Print all entries as JSONL, each line the exact bytes that are hashed.

    With --format parquet a table for analysis is written to --out instead: derived from
    the log and proving nothing; it needs the extra 'parquet'.

    Example: cortex ledger export --from 1000 > entries.jsonl
    """
    from cortex.cli.ledger_files import ledger_files

    files = ledger_files(archive)
    if format_ is Format.PARQUET:
        from cortex.cli.ledger_table import write_table

        count = write_table(files, start, out)
        told = {"entries": count, "file": str(out)}
        print_json(told) if as_json else print(f"{count} entries in {out}")
        return
    separator = "["
    for _, body in files.leaves(start):
        if as_json:
            print(separator, end="")
        print(body.decode(), end="" if as_json else "\n")
        separator = ",\n"
    if as_json:
        print("[]" if separator == "[" else "]")


@command
def report(
    period: Annotated[
        str, typer.Option(help="30d, 2026-11, a day, or DAY..DAY, in UTC.")
    ] = "30d",
    tenant: Annotated[str, typer.Option(help="One tenant; else all.")] = "",
    archive: ArchiveUrl = "",
    as_json: AsJson = False,
) -> int:
    """Tell who did and read what, what was forgotten, what proves it, and gaps.

    The ledger is verified first; the exit code is that of the verdict.

    Example: cortex ledger report --period 2026-11 --json
    """
    from cortex.cli.ledger_files import Trusted, ledger_files
    from cortex.cli.ledger_report import make_report, parse_period

    now = SystemClock().now()
    wanted = parse_period(period, now)
    files = ledger_files(archive)
    verdict = files.verify(
        Trusted(), since=0, deep=False, show_progress=sys.stderr.isatty()
    )
    made = make_report(files.leaves(0), wanted, tenant, now)
    if as_json:
        told = {part.name: getattr(made, part.name) for part in fields(made)}
        proof = {**_told(verdict), "checkpoint": files.head_text()}
        print_json({"period": wanted, **told, "proof": proof})
    else:
        _print_report(made)
        _print_verdict(verdict, as_json=False)
    return verdict.exit_code


@command
def archive(
    to: ArchiveUrl = "",
    hot: Annotated[str, typer.Option(help="Age that leaves the database.")] = "7d",
    warm: Annotated[str, typer.Option(help="Age that leaves the disk.")] = "30d",
    as_json: AsJson = False,
) -> None:
    """Move old entries to the archive now; servers do so by themselves each minute.

    Example: cortex ledger archive --archive /mnt/cold --warm 30d
    """
    from cortex.cli.ledger_work import archive_now
    from cortex.cli.tokens import seconds_of

    moved = archive_now(to, seconds_of(hot), seconds_of(warm))
    if as_json:
        print_json(moved)
    else:
        print(f"{moved.archived} entries archived, {moved.rotated} left the database")


@command
def restore(
    source: ArchiveUrl = "",
    since: Annotated[int, typer.Option(min=0, help="First entry.")] = 0,
    until: Annotated[
        int | None, typer.Option(min=1, help="The entry after the last; else all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring archived entries back to this disk; each is checked against its hash.

    Example: cortex ledger restore --archive /mnt/cold --since 0 --until 1000
    """
    from cortex.cli.ledger_work import restore_now

    count = restore_now(source, since, until)
    if as_json:
        print_json({"restored": count})
    else:
        print(f"{count} entries restored")


@command
def rotate(
    finish: Annotated[
        bool, typer.Option("--finish", help="Destroy the old key.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let a new key sign beside the old one; with --finish, alone.

    Restart the servers after each step, and hand the new key to verifiers in between.

    Example: cortex ledger rotate
    """
    from cortex.cli.ledger_work import finish_rotation, rotate_key

    keys = [found.encode() for found in (finish_rotation if finish else rotate_key)()]
    if as_json:
        print_json({"keys": keys, "finished": finish})
    else:
        print("\n".join(keys))
    say("restart the servers of this ledger now")


@command
def cosign(
    url: Annotated[str, typer.Argument(help="Address of the witness.")],
    key: Annotated[Path, typer.Option(help="File of the witness's verifier key.")],
    as_json: AsJson = False,
) -> None:
    """Let a witness cosign the newest head; verifiers ask for it with --policy.

    Example: cortex ledger cosign http://10.0.0.2:4950 --key witness.vkey
    """
    from cortex.cli.ledger_work import cosign_head
    from cortex.ledger.keys import read_verifier_keys

    signed = cosign_head(url, read_verifier_keys(key.read_bytes()))
    note = signed.encode().decode()
    if as_json:
        print_json({"size": signed.size, "note": note})
    else:
        print(note, end="")


def build() -> typer.Typer:
    """Return the command group."""
    group = typer.Typer(no_args_is_help=True, help="The audit ledger of this machine.")
    for function in (verify, checkpoint, key, prove, check, show, export, report):
        group.command(function.__name__)(function)
    for function in (archive, restore, rotate, cosign):
        group.command(function.__name__)(function)
    return group


def _told(found: "Verification") -> dict[str, object]:
    from cortex.service.http.wire.audit import verification

    return verification(found)


def _print_verdict(found: "Verification", as_json: bool) -> None:
    if as_json:
        print_json(_told(found))
        return
    print(found.verdict.value.replace("_", " "), end="")
    if found.index is not None:
        print(f": entry {found.index}", end="")
    print(f": {found.detail}" if found.detail else "")
    if found.size:
        print(
            f"{found.size} entries, read from {found.checked_from}, root {found.root}"
        )
        print(f"{found.signed_size} entries are under a signed head")
    if found.exit_code == Exit.OK and not found.pinned:
        print("no head from outside took part: a log cut short would look the same")
    for other in found.findings[1:]:
        place = "" if other.index is None else f"entry {other.index}: "
        print(f"also {other.reason.value}: {place}{other.detail}")
    for repaired in found.recovered:
        print(f"the next start repairs: {repaired}")


def _print_report(made: "Report") -> None:
    where = "" if made.first is None else f", {made.first} to {made.last}"
    print(f"{made.entries} entries{where}")
    rows = [
        (actor, kind, str(count))
        for actor, kinds in sorted(made.access.items())
        for kind, count in sorted(kinds.items())
    ]
    print_table(("who", "what", "times"), rows, "Access")
    columns = ("index", "recorded_at", "kind", "actor", "subject")
    for title, lines in (
        ("Content read", made.reads),
        ("Forgotten", made.forgotten),
        ("Signing keys", made.keys),
        ("Security", made.denials),
    ):
        shown = [tuple(str(line[name]) for name in columns) for line in lines]
        print_table(columns, shown, title)
    gaps = [(gap["from"], gap["to"]) for gap in made.silences]
    print_table(("nothing from", "to"), gaps, "Gaps of a day and more")
