//! flyteadmin's configuration, computed as flyteadmin computes it.
//!
//! flyteadmin starts with `--config /etc/flyte/config/*.yaml`. [`files`] reads these files, [`decode`] converts values, and
//! [`container`] reads the command line and environment, which override them. The result is that of v1.16.7 and later; if
//! earlier releases read a file differently, that is a [`Fault`].
//!
//! Sources, of [flyteorg/flyte](https://github.com/flyteorg/flyte) v1.16.8: `flyteadmin/pkg/config/config.go`,
//! `flyteadmin/pkg/config/serverconfig_flags.go`, `flytestdlib/config/viper/viper.go` and `collection.go`; of
//! [spf13/viper](https://github.com/spf13/viper) v1.21.0: `viper.go`.

pub(crate) mod auth;
pub(crate) mod config_map;
pub(crate) mod container;
pub(crate) mod decode;
pub(crate) mod files;
pub(crate) mod mounts;
#[cfg(feature = "flyte2-exposure")]
mod runs;
pub(crate) mod server;
#[cfg(test)]
mod table;

use std::{borrow::Cow, collections::BTreeSet, hash::Hash};

use crate::verdict::Place;

/// An option, and where it is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    /// `None` if nothing sets it, and the default counts.
    pub(crate) place: Option<Place>,
}

/// An item of a list, and where it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// The options of `server.security` that decide about CORS; `None` if the value is not known.
#[derive(Debug, Default)]
pub(crate) struct Security {
    pub(crate) allow_cors: Option<Said<bool>>,
    pub(crate) allowed_origins: Option<Said<Vec<Item>>>,
    pub(crate) allowed_headers: Option<Said<Vec<Item>>>,
    pub(crate) use_auth: Option<Said<bool>>,
}

/// Something in the configuration that keeps flyteadmin from starting, or that releases read differently.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) kind: FaultKind,
    pub(crate) problem: String,
    pub(crate) mend: Cow<'static, str>,
}

impl Fault {
    /// A fault that keeps flyteadmin from starting.
    fn never_starts(place: Place, reason: &str, mend: &'static str) -> Self {
        let problem = format!("{reason}: flyteadmin does not start");
        Self { place, kind: FaultKind::NeverStarts, problem, mend: mend.into() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    NeverStarts,
    TwoMeanings,
}

/// The defaults of the flags, in `serverconfig_flags.go`.
pub(crate) const DEFAULT_ALLOW_CORS: bool = true;
pub(crate) const DEFAULT_ALLOWED_ORIGINS: [&str; 1] = ["*"];
pub(crate) const DEFAULT_ALLOWED_HEADERS: [&str; 2] = ["Content-Type", "flyte-authorization"];
pub(crate) const DEFAULT_USE_AUTH: bool = false;

/// The entry of `allowedOrigins` that makes gorilla/handlers allow every origin, as an empty list does.
pub(crate) const ANY: &str = "*";

/// The answer to a browser that asks for a call with credentials from an origin, and the option that decides it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer<'s> {
    /// `allowCors` is false.
    Off(&'s Said<bool>),
    /// Every origin is allowed, which browsers reject for calls with credentials.
    Any(&'s Said<Vec<Item>>),
    /// The origin is not listed.
    NotListed(&'s Said<Vec<Item>>),
    Allowed,
}

impl<'s> Answer<'s> {
    /// The answer to an origin while CORS is on.
    pub(crate) fn to_origin(origins: &'s Said<Vec<Item>>, origin: &str) -> Self {
        let has = |text: &str| origins.value.iter().any(|item| item.text == text);
        if origins.value.is_empty() || has(ANY) {
            Self::Any(origins)
        } else if has(origin) {
            Self::Allowed
        } else {
            Self::NotListed(origins)
        }
    }

    /// Where it is set; `None` if nothing sets it, or if the origin is allowed.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) fn place(&self) -> Option<&'s Place> {
        match self {
            Self::Off(off) => off.place.as_ref(),
            Self::Any(list) | Self::NotListed(list) => list.place.as_ref(),
            Self::Allowed => None,
        }
    }
}

impl Security {
    /// The answer to an origin; `None` if it is not known.
    pub(crate) fn answer(&self, origin: &str) -> Option<Answer<'_>> {
        let allow_cors = self.allow_cors.as_ref()?;
        if !allow_cors.value {
            return Some(Answer::Off(allow_cors));
        }
        Some(Answer::to_origin(self.allowed_origins.as_ref()?, origin))
    }

    /// The paths of the options, and whether each differs in `other`.
    fn differences(&self, other: &Self) -> [(&'static str, bool); 4] {
        let values = |one: &Option<Said<bool>>, other: &Option<Said<bool>>| {
            one.as_ref().map(|said| said.value) != other.as_ref().map(|said| said.value)
        };
        let texts = |one: &Option<Said<Vec<Item>>>, other: &Option<Said<Vec<Item>>>| {
            let [one, other] = [one, other].map(|said| said.as_ref().map_or(&[][..], |said| &said.value));
            one.len() != other.len() || one.iter().zip(other).any(|(one, other)| one.text != other.text)
        };
        [
            ("server.security.allowCors", values(&self.allow_cors, &other.allow_cors)),
            ("server.security.allowedOrigins", texts(&self.allowed_origins, &other.allowed_origins)),
            ("server.security.allowedHeaders", texts(&self.allowed_headers, &other.allowed_headers)),
            ("server.security.useAuth", values(&self.use_auth, &other.use_auth)),
        ]
    }

    /// Merges options: these override `others`.
    pub(crate) fn before(self, others: Self) -> Self {
        Self {
            allow_cors: self.allow_cors.or(others.allow_cors),
            allowed_origins: self.allowed_origins.or(others.allowed_origins),
            allowed_headers: self.allowed_headers.or(others.allowed_headers),
            use_auth: self.use_auth.or(others.use_auth),
        }
    }

    /// The options for origins, for a comparison: whether CORS is on, and the list.
    pub(crate) fn origins(&self) -> impl Hash {
        let texts = |said: &Said<Vec<Item>>| said.value.iter().map(|item| item.text.clone()).collect::<Vec<_>>();
        (self.allow_cors.as_ref().map(|said| said.value), self.allowed_origins.as_ref().map(texts))
    }

    /// Returns what browsers see, for a comparison: the origins and the headers, which are both empty if CORS is off.
    /// `None` if it is not known.
    pub(crate) fn served(&self) -> Option<[BTreeSet<&str>; 2]> {
        if !self.allow_cors.as_ref()?.value {
            return Some([BTreeSet::new(), BTreeSet::new()]);
        }
        let lists = [self.allowed_origins.as_ref()?, self.allowed_headers.as_ref()?];
        Some(lists.map(|list| {
            // Collecting them would sort them first, with 4 KB of code that nothing else needs.
            let mut texts = BTreeSet::new();
            texts.extend(list.value.iter().map(|item| &*item.text));
            texts
        }))
    }
}
