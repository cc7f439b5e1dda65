"""The certificate that the webhook in a shoot serves with, from an authority of that shoot's webhook alone.

The authority stays for ten years, so a renewal changes the server's certificate only, and the API server trusts the
old one and the new one alike.  Its key never leaves the seed.

Import this only where a webhook is wanted: it costs 17 MiB.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from extension.rendering.inputs import Certificate

SERVICE = "cri-resmgr-webhook.kube-system.svc"
NAMES = (SERVICE, f"{SERVICE}.cluster.local")
AUTHORITY_NAME = "cri-resmgr-webhook-ca"
AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=365)
RENEWED = timedelta(days=120)
"""A certificate is made anew when it has less than that to live."""
SKEW = timedelta(hours=1)
"""Clocks of others may be that much behind."""

_Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with what is needed to renew it."""

    served: Certificate
    authority_key: str = field(repr=False)


def issued(now: datetime, old: Issued | None = None) -> Issued:
    """What to serve with from now on: the same while it is good, else a new certificate, if need be of a new authority.

    Whatever of `old` cannot be read is made anew.
    """
    signer = _signer(old, now) if old else None
    if old and signer and _is_good(old.served, now):
        return old
    return _signed(now, *(signer or _authority(now)))


def _is_good(served: Certificate, now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(served.certificate.encode())
        key = serialization.load_pem_private_key(served.key.encode(), password=None)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(served.authority.encode()))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is not
        return False
    return certificate.not_valid_after_utc - now > RENEWED and key.public_key() == certificate.public_key()


def _signer(old: Issued, now: datetime) -> _Signer | None:
    """The authority, if it can still sign what is to live as long as a certificate does."""
    try:
        authority = x509.load_pem_x509_certificate(old.served.authority.encode())
        key = serialization.load_pem_private_key(old.authority_key.encode(), password=None)
    except (ValueError, TypeError):
        return None
    lives = authority.not_valid_after_utc - now > LIFE
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != authority.public_key() or not lives:
        return None
    return authority, key


def _authority(now: datetime) -> _Signer:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(AUTHORITY_NAME)
    certificate = (
        _begun(now, AUTHORITY_LIFE, subject=name, issuer=name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(is_authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _signed(now: datetime, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _begun(now, LIFE, subject=_name(SERVICE), issuer=authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(is_authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Issued(Certificate(_pem(certificate), _key_pem(key), _pem(authority)), _key_pem(authority_key))


def _begun(now: datetime, life: timedelta, *, subject: x509.Name, issuer: x509.Name) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - SKEW).not_valid_after(now + life)


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    kind, sealed = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, sealed).decode()
