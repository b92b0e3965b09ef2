//! Envoy Gateway's SecurityPolicies.
//!
//! Source: `api/v1alpha1/securitypolicy_types.go` of [envoyproxy/gateway](https://github.com/envoyproxy/gateway).

use serde::de::IgnoredAny;

use super::{Gate, Target};
use crate::{
    host::Listed,
    installation::{gateway, objects::Objects},
    verdict::Shortened,
    view::view,
};

view! {
    struct SecurityPolicy<'a> {
        "spec" => spec: SecuritySpec<'a>,
    }

    struct SecuritySpec<'a> {
        "targetRef" => target: Target<'a>,
        "targetRefs" => targets: Vec<Target<'a>>,
        "targetSelectors" => selectors: Vec<Target<'a>>,
        "jwt" => jwt: Jwt<'a>,
        "oidc" => oidc: IgnoredAny,
        "basicAuth" => basic: IgnoredAny,
        "extAuth" => external: External<'a>,
        "apiKeyAuth" => key: IgnoredAny,
    }

    struct Jwt<'a> {
        "optional" => optional: bool,
    }

    struct External<'a> {
        "failOpen" => fails_open: bool,
    }
}

/// Returns how Envoy Gateway's policies authenticate callers of a route. The route's own policies count or, without
/// any, those of all Gateways that it is attached to. A policy that cannot be read does not count, because no cluster
/// accepts it.
///
/// # Errors
///
/// Why the policies are not known.
pub(in crate::flyte2_exposure) fn of_route(
    (kind, namespace, name): (Listed, &str, &str),
    route: &gateway::Route,
    objects: &Objects,
) -> Result<Gate, String> {
    let kind = kind.kind().1;
    let gateways = route.gateways(namespace);
    // Whether policies ask for authentication: for the route, and for each Gateway by its listener and as a whole.
    let mut own = None;
    let mut of_gateways: Vec<[Option<bool>; 2]> = gateways.iter().map(|_| [None; 2]).collect();
    let (mut selects, mut missed) = (None, None);
    objects.each(Listed::SecurityPolicy, None, |found| {
        let is_of_route = found.namespace == namespace;
        if !is_of_route && gateways.iter().all(|gateway| gateway.namespace != found.namespace) {
            return Ok(());
        }
        let title = || found.title(Listed::SecurityPolicy);
        let spec = match found.read_fields::<SecurityPolicy>(Listed::SecurityPolicy) {
            Ok(policy) => policy.spec.unwrap_or_default(),
            Err(reason) => {
                missed = Some(reason);
                return Ok(());
            }
        };
        let asks = spec.asks();
        if spec.external.as_ref().is_some_and(|external| external.fails_open == Some(true)) {
            missed = Some(format!("failOpen of {} allows all callers while its extAuth service is down", title()));
        }
        if asks && spec.selectors.as_ref().is_some_and(|selectors| !selectors.is_empty()) {
            selects = Some(format!("the targetSelectors of {}, which this policy cannot read", title()));
        }
        for target in spec.target.iter().chain(spec.targets.iter().flatten()) {
            let section = target.section.as_deref();
            let target = (target.kind.as_deref().unwrap_or_default(), target.name.as_deref().unwrap_or_default());
            if target == (kind, name) && is_of_route {
                match section {
                    None => own = Some(own.unwrap_or(false) || asks),
                    Some(_) => missed = Some(format!("{} covers only one of this route's rules", title())),
                }
            }
            for (gateway, of_it) in gateways.iter().zip(&mut of_gateways) {
                let is_it = target == ("Gateway", gateway.name) && gateway.namespace == found.namespace;
                if is_it && (section.is_none() || section == gateway.section) {
                    let of_it = &mut of_it[usize::from(section.is_none())];
                    *of_it = Some(of_it.unwrap_or(false) || asks);
                } else if is_it {
                    missed =
                        Some(format!("{} covers only one listener of Gateway {}", title(), Shortened(gateway.name)));
                }
            }
        }
        Ok(())
    })?;
    let asks_at = |[of_listener, of_all]: &[Option<bool>; 2]| of_listener.or(*of_all).unwrap_or(false);
    let by_gateways = || of_gateways.iter().all(asks_at);
    let asks = own.unwrap_or_else(|| !gateways.is_empty() && by_gateways());
    if !asks && missed.is_none() && own.is_none() && of_gateways.iter().any(asks_at) {
        missed = Some("one of this route's Gateways has a policy that authenticates, but another has none".to_owned());
    }
    Ok(match selects {
        _ if asks => Gate::Asks,
        Some(selects) => Gate::NotKnown(selects),
        None => Gate::missed(missed),
    })
}

impl SecuritySpec<'_> {
    fn asks(&self) -> bool {
        let verifies = self.jwt.as_ref().is_some_and(|jwt| jwt.optional != Some(true));
        let external = self.external.as_ref().is_some_and(|external| external.fails_open != Some(true));
        verifies || external || [&self.oidc, &self.basic, &self.key].iter().any(|other| other.is_some())
    }
}
