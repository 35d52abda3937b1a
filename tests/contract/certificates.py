"""Certificates of a made-up authority that signs with one worthless key, valid until 2120.

The leaf is for `shop.test`, 127.0.0.1 and ::1.
"""

import base64
import hashlib
import ssl
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQVOSWXJb2L+77UBa
OcnwOTyuLKqe8/Zy5YyzDXrJ/2yhRANCAAR7d2leTd6L+M/Cn+fejpe3u+W4jS3W
gq4k79ijg8/knlWrVIj3U5DSeZtPNgT8JGI17G95M2Q5WBvMPDbP4vtH
-----END PRIVATE KEY-----
"""
AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBbDCCARGgAwIBAgIBATAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFob21lb3N0
YXQgdGVzdCBjYTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowHDEa
MBgGA1UEAwwRaG9tZW9zdGF0IHRlc3QgY2EwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAR7d2leTd6L+M/Cn+fejpe3u+W4jS3Wgq4k79ijg8/knlWrVIj3U5DSeZtP
NgT8JGI17G95M2Q5WBvMPDbP4vtHo0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1Ud
DwEB/wQEAwIBBjAdBgNVHQ4EFgQU8CUAArXffUEpaLErxp9LYYfuwRgwCgYIKoZI
zj0EAwIDSQAwRgIhAL2382gzTaJb2lPGRC34whIf478re6eYEBkwKDqzAm/wAiEA
iS67Hh2RHOIDpQKwc4NhyAdmsNDxZ3R17TTfgO/MnO0=
-----END CERTIFICATE-----
"""
GOOD = """-----BEGIN CERTIFICATE-----
MIIBpjCCAUygAwIBAgIBAjAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFob21lb3N0
YXQgdGVzdCBjYTAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowHjEc
MBoGA1UEAwwTaG9tZW9zdGF0IHRlc3QgbGVhZjBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABHt3aV5N3ov4z8Kf596Ol7e75biNLdaCriTv2KODz+SeVatUiPdTkNJ5
m082BPwkYjXsb3kzZDlYG8w8Ns/i+0ejezB5MAkGA1UdEwQCMAAwLAYDVR0RBCUw
I4IJc2hvcC50ZXN0hwR/AAABhxAAAAAAAAAAAAAAAAAAAAABMB0GA1UdDgQWBBTw
JQACtd99QSlosSvGn0thh+7BGDAfBgNVHSMEGDAWgBTwJQACtd99QSlosSvGn0th
h+7BGDAKBggqhkjOPQQDAgNIADBFAiEA26GOvkWDoDkBm1f4TTW9WcgfYWO/AOkH
vdzkZwkgjt0CIDqiNJmILRbMcwbBbvJJnMJCFeQuuH8VnsKwtxvVdho7
-----END CERTIFICATE-----
"""
EXPIRED = """-----BEGIN CERTIFICATE-----
MIIBpTCCAUqgAwIBAgIBAzAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFob21lb3N0
YXQgdGVzdCBjYTAeFw0yMDAxMDEwMDAwMDBaFw0yMDAxMDIwMDAwMDBaMB4xHDAa
BgNVBAMME2hvbWVvc3RhdCB0ZXN0IGxlYWYwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAR7d2leTd6L+M/Cn+fejpe3u+W4jS3Wgq4k79ijg8/knlWrVIj3U5DSeZtP
NgT8JGI17G95M2Q5WBvMPDbP4vtHo3sweTAJBgNVHRMEAjAAMCwGA1UdEQQlMCOC
CXNob3AudGVzdIcEfwAAAYcQAAAAAAAAAAAAAAAAAAAAATAdBgNVHQ4EFgQU8CUA
ArXffUEpaLErxp9LYYfuwRgwHwYDVR0jBBgwFoAU8CUAArXffUEpaLErxp9LYYfu
wRgwCgYIKoZIzj0EAwIDSQAwRgIhALnFJzM/Hu5DAPvtIBMACRB+Xr441xGS9uYV
G8/Nk+q1AiEAwP9tdRQ4QpmqE5QMQhNVSicXqi5n9wVha7xAzDjvKUU=
-----END CERTIFICATE-----
"""
SELF_SIGNED = """-----BEGIN CERTIFICATE-----
MIIBiDCCAS2gAwIBAgIBBDAKBggqhkjOPQQDAjAeMRwwGgYDVQQDDBNob21lb3N0
YXQgdGVzdCBsZWFmMCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAxMDAwMDAwWjAe
MRwwGgYDVQQDDBNob21lb3N0YXQgdGVzdCBsZWFmMFkwEwYHKoZIzj0CAQYIKoZI
zj0DAQcDQgAEe3dpXk3ei/jPwp/n3o6Xt7vluI0t1oKuJO/Yo4PP5J5Vq1SI91OQ
0nmbTzYE/CRiNexveTNkOVgbzDw2z+L7R6NaMFgwCQYDVR0TBAIwADAsBgNVHREE
JTAjgglzaG9wLnRlc3SHBH8AAAGHEAAAAAAAAAAAAAAAAAAAAAEwHQYDVR0OBBYE
FPAlAAK1331BKWixK8afS2GH7sEYMAoGCCqGSM49BAMCA0kAMEYCIQCelMNsLQNV
wcAHy+Fi2cKya7snbipxgHd5nfzRxxWtdwIhAItUkREjeuy89XHR416u8nhXmCyc
l8gY1rh1yqqSRuEp
-----END CERTIFICATE-----
"""
LOCKED_KEY = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjGnn3nekq5sAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEBurxHOZUQutYt9D1c6cip8EgZCq
uBzXlmwjWBUv52fnpXcU/iKmIkAzA3WEsHUHc0wRa9X3Lq4z1V994EcW10zbryoB
9P8S+TRAM1oih3hUccTapQFqjNd6VbLB03OAf0LN+4JytlSrcTtIRZTYkX+3vl0n
gJ178HeLcqVos3Jbfmf37+e4WYN/WxBzwLxKYZtMpD+wEsmIAt8fsrh1moNRgtI=
-----END ENCRYPTED PRIVATE KEY-----
"""
OTHER_KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgY1gKbhHlAkJwsTj9
xBkTJQMRr4L9Ep9diWHMVh+FuPKhRANCAATHhjOnheoDFkAbXdw2yWUYDrrwtkCd
VBfT1VYIiWovEuhO4YNfaYGpm/+dLL87igIVLP+ALKikX1tqvNDDwi/R
-----END PRIVATE KEY-----
"""
GOOD_UNTIL = 4733510400.0  # 2120-01-01

# The order of the curve P-256, and the abscissa of its base point.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")


def identity(folder: Path, certificate: str) -> ssl.SSLContext:
    """Make a server's context for a certificate, or for a chain of them that begins with the server's own."""
    (folder / "chain.pem").write_text(certificate + KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem")
    return context


def demanding(folder: Path, authority: str = AUTHORITY) -> ssl.SSLContext:
    """Make the context of a server that wants to see a certificate of `authority`."""
    context = identity(folder, GOOD)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority)
    return context


def certificate(
    subject: str, issuer: str, *, until: float = GOOD_UNTIL, is_authority: bool = False, address: bytes = b""
) -> str:
    """Make a certificate (PEM) for the one key of all, valid until `until` (epoch seconds), and for a URI, if any.

    Signed with 1 for a nonce, which gives the key away: all the mathematics that remains is one multiplication.
    """
    constraints = _der(0x30, _der(0x01, b"\xff") if is_authority else b"")
    extensions = [_der(0x30, bytes.fromhex("0603551d13") + _der(0x04, constraints))]
    if not is_authority:
        names = _der(0x30, _der(0x82, subject.encode()), _der(0x86, address) if address else b"")
        extensions.append(_der(0x30, bytes.fromhex("0603551d11") + _der(0x04, names)))
    signed = _der(
        0x30,
        bytes.fromhex("a003020102020101") + _ECDSA_SHA256,
        _name(issuer),
        _der(0x30, _time(datetime(2020, 1, 1, tzinfo=UTC)), _time(datetime.fromtimestamp(until, UTC))),
        _name(subject),
        _public_key(),
        _der(0xA3, _der(0x30, *extensions)),
    )
    digest = int.from_bytes(hashlib.sha256(signed).digest())
    signature = _der(0x30, _integer(_BASE % _ORDER), _integer((digest + _BASE * _private_key()) % _ORDER))
    whole = _der(0x30, signed, _ECDSA_SHA256, _der(0x03, b"\0", signature))
    return ssl.DER_cert_to_PEM_cert(whole)


def chain(length: int) -> str:
    """Make a chain of certificates, each signed by the next, the last by the one authority that is trusted."""
    names = ["shop.test", *(f"intermediate {number}" for number in range(length - 1)), "homeostat test ca"]
    return "".join(
        certificate(subject, issuer, is_authority=number > 0)
        for number, (subject, issuer) in enumerate(pairwise(names))
    )


def _private_key() -> int:
    der = base64.b64decode("".join(KEY.splitlines()[1:-1]))
    start = der.index(b"\x04\x20") + 2
    return int.from_bytes(der[start : start + 32])


def _public_key() -> bytes:
    der = ssl.PEM_cert_to_DER_cert(AUTHORITY)
    start = der.index(bytes.fromhex("301306072a8648ce3d0201")) - 2
    return der[start : start + 91]


def _name(common_name: str) -> bytes:
    return _der(0x30, _der(0x31, _der(0x30, bytes.fromhex("0603550403") + _der(0x0C, common_name.encode()))))


def _time(moment: datetime) -> bytes:
    return _der(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def _integer(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1))


def _der(tag: int, *parts: bytes) -> bytes:
    """Encode one value of ASN.1 (DER)."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content
