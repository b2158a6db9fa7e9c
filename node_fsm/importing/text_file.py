"""Texts from files, in UTF-8; what else a file is, is told together with what to do about it."""

from pathlib import Path

from node_fsm.importing.errors import InputFileError

ENCODING = "utf-8-sig"

_HEAD_SIZE = 400
_SAVE_AS = 'save it as UTF-8 ("CSV UTF-8" in spreadsheets)'


def read_text(file: Path) -> str:
    """The text of *file*; InputFileError saying why there is none."""
    try:
        refuse_other_kinds(file)
        return file.read_text(encoding=ENCODING)
    except OSError as error:
        raise unreadable(file, error) from None
    except UnicodeDecodeError:
        raise InputFileError([not_utf8(file)]) from None


def unreadable(file: Path, error: OSError) -> InputFileError:
    """The error for a file that is not there, or may not be read."""
    return InputFileError([f"{file}: cannot be read: {error.strerror}"])


def refuse_other_kinds(file: Path) -> None:
    """InputFileError when *file* begins as other kinds of files do. Raises OSError."""
    with file.open("rb") as stream:
        head = stream.read(_HEAD_SIZE)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InputFileError([f"{file}: is a spreadsheet or an archive, not text; export it as text in UTF-8"])
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        raise InputFileError([f"{file}: is UTF-16, or no text at all; {_SAVE_AS}"])


def not_utf8(file: Path) -> str:
    """Where the first byte stands that is not UTF-8, and what to do about it."""
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                column = len(line[: error.start].decode()) + 1
                meant = line[error.start : error.start + 1].decode("cp1252", errors="replace")
                return (
                    f"{file}, line {number}, column {column}: is not UTF-8 text: byte 0x{line[error.start]:02x}, which"
                    f" is {meant!r} in Windows-1252; {_SAVE_AS}"
                )
    return f"{file}: is not UTF-8 text; {_SAVE_AS}"
