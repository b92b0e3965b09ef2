//! The findings of `flyte-oauth-tls`.

use crate::rule::rules;

rules! {
    "flyte-oauth-tls":
    Medium SELF_SIGNED = "self-signed",
        "a leaf that is signed with its own key, or that a `selfSigned` issuer of cert-manager will sign this way",
        "flytectl stops before OAuth begins. Use a certificate of a CA that clients trust. With another OAuth provider, this is a notice.";
    Medium STAGING_ISSUER = "staging-issuer",
        "a certificate from Let's Encrypt's test environment",
        "No client trusts its roots. Set `spec.acme.server` of the issuer to the address of the production environment. With another OAuth provider, this is a notice.";
    Medium UNTRUSTED_ROOT = "untrusted-root",
        "a chain that ends at a root that is not trusted",
        "The root is unknown, has expired, is not allowed to sign the chain, or has the name of a trusted root but another key. Clients that do not trust the root reject the certificate. If your clients trust it, add it to `trustRoots`. With another OAuth provider, this is a notice.";
    Medium UNKNOWN_ISSUER = "unknown-issuer",
        "a chain that ends before a root",
        "An intermediate is missing, or the root is your own. Browsers may download a missing intermediate, but flytectl does not. Add the intermediate after the leaf. With another OAuth provider, this is a notice.";
    Low BROKEN_CHAIN = "broken-chain",
        "a chain that servers or clients cannot follow",
        "Servers or clients reject the file. Causes in the chain: a wrong order, a duplicate, more than 8 certificates, a certificate that the next one did not sign, a CA that is not allowed to sign the one before it (keyUsage, extendedKeyUsage, pathLenConstraint, nameConstraints), or an authorityKeyIdentifier that does not match the issuer's key (OpenSSL). Causes in the file: blocks that are not certificates, text after the blocks, or other text on a `-----BEGIN` or `-----END` line. Write the leaf first, then each certificate that signed the one before it.";
    High PRIVATE_KEY = "private-key",
        "a private key, whole or in part, among the certificates",
        "Anyone who can read the certificates can read the key. Remove it, and get a certificate for a new key.";
    Low MALFORMED = "malformed",
        "a certificate in the chain that Go cannot read",
        "It has a duplicate extension, a negative serial number, an invalid IP address, URI or name, a compressed elliptic-curve key, or nameConstraints of an unknown kind. flytectl and propeller are written in Go, so they cannot connect. Get another certificate.";
    Medium WEAK_KEY = "weak-key",
        "an RSA key of less than 2048 bits (macOS) or more than 8192 (Go), anywhere in the chain",
        "Clients reject such keys. Get a certificate for an RSA key of 2048 to 8192 bits, or for an ECDSA key on P-256.";
    Medium WEAK_SIGNATURE = "weak-signature",
        "a signature with SHA-1 or MD5 anywhere in the chain, except the root's own",
        "Such signatures can be forged, and clients reject them. Get a certificate that is signed with SHA-2.";
    Medium EXPIRED = "expired",
        "an expired certificate in the chain",
        "Clients reject it. Renew it. This rule does not check a root at the end of the chain, because clients use their own copy of it.";
    Low NOT_YET_VALID = "not-yet-valid",
        "a certificate in the chain that is not valid yet",
        "Clients reject it until it becomes valid. Wait, or check the clock of the machine that issued it.";
    Low EXPIRES_SOON = "expires-soon",
        "a leaf that is valid for fewer days than the setting `minDaysLeft`",
        "It may expire before the next check. Renew it now.";
    Low TOO_LONG = "too-long",
        "a leaf that is valid for more than 825 days, if it was issued since July 2019 (macOS)",
        "macOS calls it \"not standards compliant\", and flytectl stops there. Get one that is valid for fewer days.";
    Low NO_NAME = "no-name",
        "a leaf without a DNS name or an IP address under subjectAltName",
        "Clients do not look at the common name any more. Get one that names its hosts there.";
    Low NO_SERVER_AUTH = "no-server-auth",
        "a leaf that is not for servers",
        "Its extendedKeyUsage does not list serverAuth. Or it was issued since July 2019 and has no extendedKeyUsage (macOS). Or its Netscape certificate type does not include servers (OpenSSL). Get one with serverAuth.";
    Low NO_TLS_KEY_USAGE = "no-tls-key-usage",
        "a leaf whose keyUsage does not list digitalSignature (a leaf without keyUsage is accepted)",
        "OpenSSL and browsers reject a server whose key may only sign certificates. Chrome also rejects a key that may only encrypt. Get one with digitalSignature.";
    Medium IS_CA = "is-ca",
        "a leaf that is a CA certificate",
        "rustls rejects it, and anyone with its key can sign for every host. Use it to sign a certificate for the server instead.";
    Medium HOST_NOT_COVERED = "host-not-covered",
        "a leaf that does not cover a host that it is presented for (`*` matches one label)",
        "Clients that connect to that host reject the certificate. Get one that names the host.";
    Low NO_PROVIDER = "no-provider",
        "a ConfigMap of flyteadmin that chooses another OAuth provider, but gives no valid address for it",
        "`authServerType` is `External`, but the provider's address is not an absolute https URL. The address is `auth.appAuth.externalAuthServer.baseUrl` or, if that is not set, `auth.userAuth.openId.baseUrl`. Or `authServerType` is neither `Self` nor `External`. Or a key has two values, and releases of flyteadmin use different ones: two keys differ only in upper and lower case, or a `<<` merges a second value. Without an address, flyteadmin does not start. With an `http` address, anyone on the network path can forge tokens. Set the provider's https address. The policy applies this rule only if flyteadmin's merged files set `server.security.useAuth: true`.";
    Notice LONG_LIVED = "long-lived",
        "a leaf that is valid for longer than browsers accept, in a chain that ends at a Mozilla root",
        "The limit is 398 days if the leaf was issued before March 2026, 200 days from March 2026, 100 days from March 2027, and 47 days from March 2029. flytectl accepts such a leaf, but browsers may not. Get one that is valid for fewer days.";
    Notice NOT_CHECKED = "not-checked",
        "hosts, an issuer or an OAuth provider that could not be looked up",
        "The rules that need them were not applied. Set `hosts` or `oauth`, or allow the policy to read the objects that it asks for.";
}
