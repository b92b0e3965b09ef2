//! What `flyte-admin-cors` can find.

use crate::rule::rules;

rules! {
    "flyte-admin-cors":
    Violation ANY_ORIGIN = "any-origin",
        "every origin allowed: by `*`, by an empty list, or by saying nothing",
        "Any website may read what flyteadmin answers without credentials, yet flyteconsole on another domain gets nothing, since browsers refuse `*` for calls with credentials. List flyteconsole's own origin alone; where it is on flyteadmin's domain, set `allowCors: false`.";
    Violation NEVER_MATCHES = "never-matches",
        "an origin that no browser sends",
        "With a path, a slash at the end, a query, a user, upper case, the default port, a `*` in it, no scheme, a host not in punycode, or in punycode that browsers refuse, white space, a placeholder, two origins in one item: flyteadmin compares origins letter by letter, so that flyteconsole is not let in. Write the origin as browsers do: scheme, host, and the port where it is not the default.";
    Violation NULL_ORIGIN = "null-origin",
        "`null` as an origin",
        "Sandboxed frames and local files send it, so that any website can be `null`. Remove it.";
    Violation PLAIN_HTTP = "plain-http",
        "an origin over `http`, but for `localhost`, `*.localhost`, `127.0.0.0/8` and `[::1]`",
        "Whoever is on the way can change the console and act as its user. Serve it over https, or name the origin in `allowHttp`.";
    Violation CORS_OFF = "cors-off",
        "origins listed while `allowCors` is false; the charts' `*` may stay",
        "Browsers get no permission for any of them. Set `allowCors: true`, or remove the origins.";
    Violation REQUIRED_ORIGIN_MISSING = "required-origin-missing",
        "an origin of the setting `requiredOrigins` that browsers get no permission for",
        "Whoever needs it is cut off. List it in `allowedOrigins`; `*` does not do, since browsers refuse it.";
    Violation UNTRUSTED_ORIGIN = "untrusted-origin",
        "an origin that the setting `trustedOrigins` does not name",
        "Its pages may call flyteadmin as their user. Remove it, or trust it in the settings.";
    Violation NEVER_STARTS = "never-starts",
        "a file, flag or variable that flyteadmin does not start with",
        "No YAML, a key given twice, a value of the wrong type. There is no telling what holds, so in a ConfigMap nothing else is judged. Mend what the finding names.";
    Violation TWO_MEANINGS = "two-meanings",
        "what means one thing to one release of flyteadmin, or in one place, and another to the next",
        "`yes`, `on` and the like, true up to v1.16.5; keys with dots, lost since v1.16.7; keys that differ in case alone; a `<<` that brings a key of its map once more, with another value; a value with the tag `!`; a text in one file and a list in a later one; a variable `SERVER` or `SERVER.SECURITY`, which hides all options. An upgrade changes who is let in, and in a ConfigMap nothing else is judged. Write it so that every release reads the same.";
    Notice DUPLICATE_ORIGIN = "duplicate-origin",
        "an origin listed twice",
        "It changes nothing, and one of the two may be forgotten when the other is removed.";
    Notice AUTH_HEADER_NOT_ALLOWED = "auth-header-not-allowed",
        "`useAuth` without `flyte-authorization` in `allowedHeaders`",
        "Calls from another domain that carry their token in that header get 403. Add it to `allowedHeaders`.";
    Notice NOT_KNOWN = "not-known",
        "a value that is not in the object, a command line that cannot be read as a whole, or files that are not seen",
        "What it says may count, and was not judged. Write the value or the command into the object, give the ConfigMap with the others, or look yourself into the Secret.";
    Notice NO_EFFECT = "no-effect",
        "a flag, a variable or a section of a file that only looks as if it set something",
        "flyteadmin does not read it. Remove it, or write it as the finding says.";
    Notice FLYTE_TWO = "flyte-2",
        "Flyte 2's configuration, which has no option for CORS",
        "Flyte 2 answers CORS for every origin by itself, with credentials, and reads no `server.security`. What can be done is done in front of it: let a proxy remove the headers `Access-Control-*`. Its chart has the name of Flyte 1's: `helm install flyteorg/flyte-binary` without `--version` installs it.";
    Notice NEEDS_RESTART = "needs-restart",
        "an UPDATE that changes what browsers are served",
        "Running pods keep the CORS they started with. `helm upgrade` of Flyte's charts restarts them; else it takes `kubectl rollout restart`.";
}
