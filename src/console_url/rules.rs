//! What `flyte-console-url` can find.

use crate::rule::rules;

rules! {
    "flyte-console-url":
    Violation CLUSTER_HOST = "cluster-host",
        "a host that only the cluster can resolve",
        "A name without a dot, `*.svc`, `*.cluster.local`, `flyteadmin.<namespace>`: flyteconsole runs in people's browsers, which are not in the cluster. Write the address that they reach flyteadmin at.";
    Violation PLAIN_HTTP = "plain-http",
        "an address over `http`, but for `localhost`, `*.localhost`, `127.0.0.0/8` and `[::1]`",
        "Whoever is on the way reads what flyteconsole sends. Serve flyteadmin over https, or name the host in `allowHttp`.";
    Violation MORE_THAN_ORIGIN = "more-than-origin",
        "an address with a path, a slash at the end, a query, a fragment or a user",
        "flyteconsole glues `/login` and the like to it. Write scheme, host and port alone; `allowPath` is for a proxy that takes a path away.";
    Violation PLACEHOLDER = "placeholder",
        "a placeholder: `<flyte-admin-domain>`, `{{ ... }}`",
        "Nobody has replaced it. Write flyteadmin's address.";
    Violation NO_URL = "no-url",
        "what is no URL that a browser can call",
        "It has no host, a host in punycode that browsers refuse, or another scheme, or none, or one in upper case: flyteconsole cannot call that. Write flyteadmin's address, e.g. `https://flyte.example.com`.";
    Violation CUT_OFF = "cut-off",
        "a flyteconsole on another origin than flyteadmin's that flyteadmin does not let in",
        "CORS is off, the origin is not listed, or it is allowed by `*` alone, which browsers refuse since flyteconsole's calls carry credentials. The page loads, and none of its calls works. Allow the console's origin in flyteadmin's configuration. A notice for pods and ReplicaSets that a controller makes.";
    Violation NOT_CHECKED = "not-checked",
        "what keeps flyteconsole and flyteadmin from being held against each other",
        "A notice unless the setting `requireCrossCheck` is true. The pair may be broken and nobody knows. Name the origins in `consoleOrigins`, or give the policy leave to see what it asks for.";
    Notice NO_WAY = "no-way",
        "Ingresses or routes that lead to flyteadmin, but not from the host that flyteconsole calls",
        "The address may be misspelt, or was never set. Compare it with the Ingress.";
    Notice NO_LOGIN = "no-login",
        "a flyteconsole on another site than flyteadmin's, where people log in and flyteadmin's cookies stay on their site",
        "CORS may be right, and still no call is logged in: browsers send a cookie to another site only where it says `SameSite=None`. Serve both below one domain, or set `auth.userAuth.cookieSetting.sameSitePolicy: NoneMode`.";
}
