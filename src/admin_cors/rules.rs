//! The findings of `flyte-admin-cors`.

use crate::rule::rules;

rules! {
    "flyte-admin-cors":
    High ANY_ORIGIN = "any-origin",
        "every origin allowed, by `*`, an empty list, or no list",
        "Any website can read flyteadmin's answers to calls without credentials, but flyteconsole on another domain fails, because browsers reject `*` for calls with credentials. If flyteconsole is on another domain, list only its origin. If both share one domain, set `allowCors: false`.";
    Low NEVER_MATCHES = "never-matches",
        "an origin that no browser sends",
        "It has a path, a trailing slash, a query, a user, upper case, the default port, a `*`, a non-ASCII host that is not in punycode, invalid punycode, white space, or a placeholder; it lacks a scheme; or one item holds two origins. flyteadmin compares origins character by character, so this one never matches, and flyteconsole is not allowed. Write the origin as browsers do: scheme, host, and the port if it is not the default.";
    High NULL_ORIGIN = "null-origin",
        "`null` as an origin",
        "Sandboxed frames and local files send it, so any website can send `null`. Remove it.";
    Medium PLAIN_HTTP = "plain-http",
        "an origin over `http`, except `localhost`, `*.localhost`, `127.0.0.0/8` and `[::1]`",
        "Anyone on the network path can change the console and act as its user. Serve it over https, or add the origin to `allowHttp`.";
    Low CORS_OFF = "cors-off",
        "origins listed while `allowCors` is false, except the charts' default `*`",
        "They have no effect: flyteadmin sends no CORS headers. Set `allowCors: true`, or remove the origins.";
    Low REQUIRED_ORIGIN_MISSING = "required-origin-missing",
        "an origin in the setting `requiredOrigins` that flyteadmin does not allow",
        "Calls from that origin fail. List it in `allowedOrigins`. `*` is not enough, because browsers reject it for calls with credentials.";
    High UNTRUSTED_ORIGIN = "untrusted-origin",
        "an origin that is not in the setting `trustedOrigins`",
        "Its pages can call flyteadmin as the user who opens them. Remove it, or add it to `trustedOrigins`.";
    Low NEVER_STARTS = "never-starts",
        "a file, flag or variable that stops flyteadmin from starting",
        "For example, the YAML is invalid, a key is given twice, or a value has the wrong type. In a ConfigMap, nothing else is checked until this is fixed. Fix what the finding names.";
    Medium TWO_MEANINGS = "two-meanings",
        "an option that releases of flyteadmin read in different ways",
        "An upgrade can change which origins are allowed. For example, `yes` and `on` are true only up to v1.16.5, and keys with dots count only before v1.16.7. Releases also disagree about keys that differ only in case; a key that is set both directly and by a merge (`<<`); a value tagged `!`; an option that is a string in one file and a list in another; and a variable `SERVER` or `SERVER.SECURITY`. In a ConfigMap, nothing else is checked until this is fixed. Use a form that all releases read alike.";
    Notice DUPLICATE_ORIGIN = "duplicate-origin",
        "an origin listed twice",
        "It changes nothing, but someone may remove one and forget the other.";
    Notice AUTH_HEADER_NOT_ALLOWED = "auth-header-not-allowed",
        "`useAuth` without `flyte-authorization` in `allowedHeaders`",
        "Calls from another domain that carry their token in that header get 403. Add it to `allowedHeaders`.";
    Notice NOT_KNOWN = "not-known",
        "a value, a command line or a file that the policy cannot read",
        "It may set CORS options that were not checked. Write the value or the command into the object, add a missing ConfigMap, or check a Secret yourself.";
    Notice NO_EFFECT = "no-effect",
        "a flag, a variable or a section of a file that has no effect",
        "flyteadmin does not read it. Remove it, or write it as the finding says.";
    Notice FLYTE_TWO = "flyte-2",
        "Flyte 2's configuration, which has no option for CORS",
        "Flyte 2 allows every origin, with credentials, and does not read `server.security`. To restrict it, have a proxy remove the `Access-Control-*` headers. Flyte 2's chart has the same name as Flyte 1's: `helm install flyteorg/flyte-binary` without `--version` installs Flyte 2.";
    Notice NEEDS_RESTART = "needs-restart",
        "an UPDATE that changes flyteadmin's CORS options",
        "Running pods keep the old options until they restart. `helm upgrade` of Flyte's charts restarts them; otherwise run `kubectl rollout restart`.";
}
