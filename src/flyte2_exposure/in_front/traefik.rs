//! Traefik's middlewares that an Ingress names.
//!
//! Source: [Traefik's documentation](https://doc.traefik.io/traefik/middlewares/http/overview/).

use serde_json::value::RawValue;

use super::{
    super::{identity::removes_in_traefik, route::ALLOW_ORIGIN},
    Gate,
};
use crate::{edit, host::Listed, installation::objects::Objects, members::Members, verdict::Shortened, view::view};

view! {
    struct Middleware<'a> {
        "spec" => spec: Members<'a, &'a RawValue>,
    }
}

/// The combined effect of the middlewares that an Ingress names for Traefik.
pub(in crate::flyte2_exposure) struct Middlewares {
    pub(in crate::flyte2_exposure) gate: Gate,
    /// Whether they remove the CORS headers.
    pub(in crate::flyte2_exposure) removes_cors: bool,
    /// Whether they remove the headers that identify callers.
    pub(in crate::flyte2_exposure) removes_identity: bool,
    /// Whether they may send requests to another path.
    pub(in crate::flyte2_exposure) may_rewrite: bool,
}

/// Reads the middlewares that an Ingress names for Traefik: `<namespace>-<name>@kubernetescrd`, separated by commas.
pub(in crate::flyte2_exposure) fn of_middlewares(names: &str, objects: &Objects) -> Result<Middlewares, String> {
    let (mut asks, mut removes_cors, mut removes_identity, mut may_rewrite) = (false, false, false, false);
    let (mut unseen, mut missed) = (None, None);
    for name in names.split(',').map(str::trim) {
        let own = name.strip_suffix("@kubernetescrd").unwrap_or(name);
        let is_seen = objects.find(Listed::Middleware, None, |found| {
            if format!("{}-{}", found.namespace, found.name) != own {
                return Ok(None);
            }
            let spec = match found.read_fields::<Middleware>(Listed::Middleware) {
                Ok(middleware) => middleware.spec.unwrap_or_default(),
                Err(reason) => {
                    missed = Some(reason);
                    return Ok(Some(true));
                }
            };
            asks |= ["forwardAuth", "basicAuth", "digestAuth"].iter().any(|kind| spec.contains_key(*kind));
            let headers = spec.get("headers").map_or("", |headers| headers.get());
            removes_cors |= headers.contains("customResponseHeaders") && headers.contains(ALLOW_ORIGIN);
            removes_identity |= edit::at(headers, &["customRequestHeaders"])
                .and_then(|headers| serde_json::from_str(headers).ok())
                .is_some_and(|headers| removes_in_traefik(&headers));
            let paths = ["addPrefix", "replacePath", "replacePathRegex", "stripPrefix", "stripPrefixRegex"];
            may_rewrite |= paths.iter().any(|kind| spec.contains_key(*kind));
            // A chain names others, and a plugin may do anything.
            Ok(Some(!["chain", "plugin"].iter().any(|kind| spec.contains_key(*kind))))
        })?;
        if is_seen != Some(true) {
            may_rewrite = true;
            unseen = Some(format!(
                "Traefik's Middleware {}, which was not found, or which this policy cannot read",
                Shortened(name)
            ));
        }
    }
    let gate = match unseen {
        _ if asks => Gate::Asks,
        Some(unseen) => Gate::NotKnown(unseen),
        None => Gate::missed(missed),
    };
    Ok(Middlewares { gate, removes_cors, removes_identity, may_rewrite })
}
