//! What `flyte-oauth-tls` can find.

use crate::rule::rules;

rules! {
    "flyte-oauth-tls":
    Violation SELF_SIGNED = "self-signed",
        "a leaf that its own key has signed, where names that are equal prove nothing; or that cert-manager is to make so",
        "flytectl stops before OAuth begins. Use a certificate of a CA that clients trust, or another OAuth provider, which makes this a notice.";
    Violation STAGING_ISSUER = "staging-issuer",
        "a certificate that Let's Encrypt's test environment is asked for",
        "No client trusts its roots. Write the address of the real one under `spec.acme.server` of the issuer. A notice with another OAuth provider.";
    Violation UNTRUSTED_ROOT = "untrusted-root",
        "a chain that ends at a root that is not trusted",
        "Or at one that has another key than the trusted one of its name, has expired or may not sign the chain. Clients that are not told of the root refuse the certificate. Name it in `trustRoots` where they are. A notice with another OAuth provider.";
    Violation UNKNOWN_ISSUER = "unknown-issuer",
        "a chain that ends before a root",
        "An intermediate is missing, or the root is one of your own. Browsers may fetch an intermediate, flytectl does not. Put it behind the leaf. A notice with another OAuth provider.";
    Violation BROKEN_CHAIN = "broken-chain",
        "a chain that servers or clients cannot follow",
        "A certificate that the next has not signed, a wrong order, one that is there twice, a CA that may not sign this (keyUsage, extendedKeyUsage, pathLenConstraint, nameConstraints), a certificate whose authorityKeyIdentifier names another key than its issuer's (OpenSSL), more than 8 certificates; other blocks than certificates, text behind them, and a `-----BEGIN` or `-----END` that shares its line with anything. Servers or clients refuse the file as it is. Write the leaf first, then each certificate that signed the one before it.";
    Violation PRIVATE_KEY = "private-key",
        "a private key, whole or in part, among the certificates",
        "What reads certificates may show it. Remove it, and get a certificate for a new key.";
    Violation MALFORMED = "malformed",
        "a certificate of the chain that Go refuses to read",
        "An extension twice, a serial number below zero, an IP address, a URI or a name that is written as none, a compressed key of an elliptic curve, nameConstraints of a kind that it does not know: flytectl and propeller are written in Go, and stop. Get another certificate.";
    Violation WEAK_KEY = "weak-key",
        "RSA under 2048 bits (macOS), or over 8192 (Go); in the whole chain",
        "Clients refuse such keys. Get a certificate for an RSA key of 2048 to 8192 bits, or one on P-256.";
    Violation WEAK_SIGNATURE = "weak-signature",
        "SHA-1 or MD5; in the whole chain, but for the root's own",
        "Such signatures can be forged, and clients refuse them. Get a certificate that is signed with SHA-2.";
    Violation EXPIRED = "expired",
        "a certificate of the chain that is not valid any more",
        "The root behind it excepted, of which clients have a copy. Clients refuse it. Renew it.";
    Violation NOT_YET_VALID = "not-yet-valid",
        "a certificate of the chain that is not valid yet",
        "Clients refuse it until then. Wait, or look at the clock of who made it.";
    Violation EXPIRES_SOON = "expires-soon",
        "a leaf that is valid for fewer days than the setting `minDaysLeft`",
        "It ends before somebody looks again. Renew it now.";
    Violation TOO_LONG = "too-long",
        "a leaf that is valid for more than 825 days, if it was issued since July 2019 (macOS)",
        "macOS calls it \"not standards compliant\", and flytectl stops there. Get one that is valid for less.";
    Violation NO_NAME = "no-name",
        "a leaf without a DNS name or an IP address under subjectAltName",
        "Clients do not look at the common name any more. Get one that names its hosts there.";
    Violation NO_SERVER_AUTH = "no-server-auth",
        "a leaf that is not for servers",
        "Its extendedKeyUsage lacks serverAuth; or it has none, and was issued since July 2019 (macOS); or its Netscape certificate type leaves out servers (OpenSSL). Get one with serverAuth.";
    Violation NO_TLS_KEY_USAGE = "no-tls-key-usage",
        "a leaf whose keyUsage lacks digitalSignature, critical or not; without a keyUsage everything is allowed",
        "OpenSSL and browsers refuse a server whose key may only sign certificates, and Chrome also one whose key may only encrypt. Get one with digitalSignature.";
    Violation IS_CA = "is-ca",
        "a leaf that is a CA's",
        "rustls refuses it, and who has its key may sign for every host. Have it sign a certificate for the server instead.";
    Violation HOST_NOT_COVERED = "host-not-covered",
        "a leaf that is not for a host that it is presented for; `*` stands for one label",
        "Clients that call it there refuse the certificate. Get one that names the host.";
    Violation NO_PROVIDER = "no-provider",
        "in flyteadmin's ConfigMap, another OAuth provider that has no address",
        "`External` where neither `auth.appAuth.externalAuthServer.baseUrl` nor, which flyteadmin takes in its place, `auth.userAuth.openId.baseUrl` is set; where the one that counts is no absolute https URL; `authServerType` that is neither `Self` nor `External`; what releases of flyteadmin read in two ways: keys that differ in case alone, and a `<<` that brings a key of its map once more, with another value. flyteadmin does not start, or asks nobody. Name the provider. Judged is what the files come to that flyteadmin reads together, and only where they say `server.security.useAuth: true`.";
    Notice LONG_LIVED = "long-lived",
        "a leaf under one of Mozilla's roots that is valid for longer than browsers took when it was issued",
        "That is 398 days; 200 since March 2026, 100 from March 2027, 47 from March 2029. flytectl takes it, browsers may not. Get one that is valid for less.";
    Notice NOT_CHECKED = "not-checked",
        "that the hosts, or who gives out the tokens, could not be looked up",
        "The rules that need them were not applied. Name them in `hosts` or `oauth`, or give the policy leave to see what it asks for.";
}
