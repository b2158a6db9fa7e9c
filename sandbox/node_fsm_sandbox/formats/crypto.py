"""Ed25519 keys and signatures as the chain uses them, and the hash under all its ids."""

from hashlib import blake2b, sha512

from node_fsm_sandbox.formats import edwards

HASH_SIZE = 32
PUBLIC_KEY_SIZE = 32
PLAIN_SIZE = 32
EXTENDED_SIZE = 64
SIGNATURE_SIZE = 64


def blake2b_256(data: bytes) -> bytes:
    """The 32 bytes by which the chain names what *data* are: a block, a fragment, a vote plan."""
    return blake2b(data, digest_size=HASH_SIZE).digest()


class SigningKey:
    """A secret key: *data* are the 32 bytes of a plain one or the 64 bytes of an extended one, else ValueError.

    A plain key is hashed to what an extended one is already: the scalar, and what nonces are made of. So both
    sign alike, always the same for the same message.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) == PLAIN_SIZE:
            expanded = bytearray(sha512(data).digest())
            expanded[0] &= 0b1111_1000
            expanded[31] = expanded[31] & 0b0011_1111 | 0b0100_0000
        elif len(data) == EXTENDED_SIZE:
            expanded = bytearray(data)
        else:
            raise ValueError(f"an ed25519 secret key has {PLAIN_SIZE} or {EXTENDED_SIZE} bytes, not {len(data)}")
        self._scalar = int.from_bytes(expanded[:32], "little")
        self._prefix = bytes(expanded[32:])
        self.public_key = edwards.compress(edwards.multiply(self._scalar, edwards.BASE))
        """The public half, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """The signature of *message*, 64 bytes."""
        nonce = _hash_to_scalar(self._prefix + message)
        commitment = edwards.compress(edwards.multiply(nonce, edwards.BASE))
        challenge = _hash_to_scalar(commitment + self.public_key + message)
        response = (nonce + challenge * self._scalar) % edwards.ORDER
        return commitment + response.to_bytes(32, "little")


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether *signature* is that of *message* by the owner of *public_key*."""
    # A node checks every fragment, so it takes a library that does it many times faster than the arithmetic
    # above; imported here because who only signs shall not wait for it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _hash_to_scalar(data: bytes) -> int:
    return int.from_bytes(sha512(data).digest(), "little") % edwards.ORDER
