"""Keys in bech32, and what the node says of a text that is none."""

from string import ascii_lowercase, digits

from node_fsm.chain import bech32

SIGNING_KEY = "ed25519_sk"
PUBLIC_KEY = "ed25519_pk"

_KINDS = {SIGNING_KEY: "Secret", PUBLIC_KEY: "Public"}
_SIZE = 32
_SHORTEST = 8
_CHECKSUM = 6
_ALPHABET = set(ascii_lowercase + digits) - set("1bio")


class KeyTextError(ValueError):
    """A text is no key, which it does not repeat; *causes* is how that is said where the text is a whole file."""

    def __init__(self, message: str, *causes: str) -> None:
        super().__init__(message)
        self.causes = causes


def read_key(text: str, prefix: str) -> bytes:
    """The bytes of a key that is written with *prefix*; KeyTextError."""
    try:
        found, data = bech32.decode(text, (bech32.BECH32, bech32.BECH32M))
    except ValueError:
        fault = _fault(text)
        raise KeyTextError(
            f"Invalid bech32: {fault}", "Failed to parse bech32, invalid data format", fault
        ) from None  # for fewer words about what may be a secret
    if found != prefix:
        raise KeyTextError(
            f"Invalid prefix: expected {prefix} but was {found}",
            f"Parsed bech32 has invalid HRP prefix '{found}', expected '{prefix}'",
        )
    if len(data) != _SIZE:
        fault = f"Invalid {_KINDS[prefix]} Key size"
        raise KeyTextError(f"Invalid data: {fault}", "Failed to parse data decoded from bech32", fault)
    return data


def _fault(text: str) -> str:
    """What keeps *text* from being bech32."""
    prefix, separator, data = text.rpartition("1")
    if len(text) < _SHORTEST or (separator and (len(data) < _CHECKSUM or not prefix)):
        return "invalid length"
    if not separator:
        return 'missing human-readable separator, "1"'
    wrong = next((character for character in data if character.lower() not in _ALPHABET), None)
    if wrong is not None:
        return f"invalid character (code={wrong})"
    mixed = text not in {text.lower(), text.upper()}
    return "mixed-case strings not allowed" if mixed else "invalid checksum"
