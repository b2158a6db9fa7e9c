"""Secrets that are known to a test, so that it can look for them wherever they must not be, in whatever form."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from node_fsm.chain import bech32
from node_fsm.core.secret import Secret

_LONG = 20
"""Characters of a secret of which a half is one, too."""


class Marks:
    """Secrets by what they are called; :meth:`found_in` says which of them a text or file has in it."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._forms = {name: frozenset(_forms(text)) for name, text in secrets.items()}

    def found_in(self, data: bytes | str) -> set[str]:
        """The names of the secrets that are in *data*, also in base64, in hex, percent-encoded and as JSON has them."""
        text = data.encode(errors="surrogatepass") if isinstance(data, str) else data
        return {name for name, forms in self._forms.items() if any(form in text for form in forms)}


def key_mark(key: Secret) -> str:
    """What of a bech32 key is the secret: without the part before the 1, which the log shows."""
    return key.reveal().rpartition("1")[2]


def _forms(secret: str) -> Iterator[bytes]:
    raws = [secret.encode()]
    if (seed := _seed(secret)) is not None:
        raws.append(seed)
    for raw in raws:
        yield raw
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        for offset in range(3):  # where in a longer text base64 begins to count is not known
            for encode in (b64encode, urlsafe_b64encode):
                yield encode(bytes(offset) + raw).rstrip(b"=")[4 * bool(offset) : -1]  # without what neighbours change
    yield secret.upper().encode()
    yield quote(secret, safe="").encode()
    yield json.dumps(secret).strip('"').encode()
    yield repr(secret).strip("'\"").encode()
    if len(secret) > _LONG:
        half = len(secret) // 2
        yield secret[:half].encode()
        yield secret[half:].encode()


def _seed(secret: str) -> bytes | None:
    """The bytes of a key whose bech32 text goes on like this."""
    for prefix in ("ed25519_sk", "ristretto255_membersk"):
        try:
            return bech32.decode(f"{prefix}1{secret}")[1]
        except ValueError:
            continue
    return None
