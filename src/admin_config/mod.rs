//! flyteadmin's configuration, computed as flyteadmin computes it.
//!
//! flyteadmin starts with `--config /etc/flyte/config/*.yaml`. What it then does with its files is [`files`], what it
//! makes of a value is [`decode`], and what its command line and environment say instead is [`container`]. What holds is
//! that of v1.16.7 and later; where earlier releases read a file differently, that is a [`Fault`].
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

/// An option, and where it is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said<T> {
    pub(crate) value: T,
    /// `None` where nobody says it, and the default holds.
    pub(crate) place: Option<Place>,
}

/// An item of a list, and where it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) text: String,
    pub(crate) place: Place,
}

/// The options of `server.security` that decide about CORS; `None` where it is not known what they are.
#[derive(Debug, Default)]
pub(crate) struct Security {
    pub(crate) allow_cors: Option<Said<bool>>,
    pub(crate) allowed_origins: Option<Said<Vec<Item>>>,
    pub(crate) allowed_headers: Option<Said<Vec<Item>>>,
    pub(crate) use_auth: Option<Said<bool>>,
}

/// Something in the configuration that keeps flyteadmin from starting, or means one thing to one release and another to
/// the next.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) kind: FaultKind,
    pub(crate) problem: String,
    pub(crate) mend: Cow<'static, str>,
}

impl Fault {
    /// What keeps flyteadmin from starting, and why.
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

/// The defaults: those of the flags, in `serverconfig_flags.go`.
pub(crate) const DEFAULT_ALLOW_CORS: bool = true;
pub(crate) const DEFAULT_ALLOWED_ORIGINS: [&str; 1] = ["*"];
pub(crate) const DEFAULT_ALLOWED_HEADERS: [&str; 2] = ["Content-Type", "flyte-authorization"];
pub(crate) const DEFAULT_USE_AUTH: bool = false;

/// The entry of `allowedOrigins` that makes gorilla/handlers allow every origin, as an empty list does.
pub(crate) const ANY: &str = "*";

/// What a browser gets that asks for a call with credentials from an origin, and the option that decides it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer<'s> {
    /// `allowCors` is false.
    Off(&'s Said<bool>),
    /// Every origin is allowed, which browsers refuse for calls with credentials.
    Any(&'s Said<Vec<Item>>),
    /// The origin is not listed.
    NotListed(&'s Said<Vec<Item>>),
    Allowed,
}

impl<'s> Answer<'s> {
    /// What a browser gets from an origin where CORS is on.
    pub(crate) fn of(origins: &'s Said<Vec<Item>>, origin: &str) -> Self {
        let has = |text: &str| origins.value.iter().any(|item| item.text == text);
        if origins.value.is_empty() || has(ANY) {
            Self::Any(origins)
        } else if has(origin) {
            Self::Allowed
        } else {
            Self::NotListed(origins)
        }
    }

    /// Where it is said; `None` where nobody says it, and where it needs no saying.
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
    /// What a browser gets from an origin; `None` where that is not known.
    pub(crate) fn answer(&self, origin: &str) -> Option<Answer<'_>> {
        let allow_cors = self.allow_cors.as_ref()?;
        if !allow_cors.value {
            return Some(Answer::Off(allow_cors));
        }
        Some(Answer::of(self.allowed_origins.as_ref()?, origin))
    }

    /// The paths of the options, and whether they come to something else in `other`.
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

    /// What holds where these options come before `others`.
    pub(crate) fn before(self, others: Self) -> Self {
        Self {
            allow_cors: self.allow_cors.or(others.allow_cors),
            allowed_origins: self.allowed_origins.or(others.allowed_origins),
            allowed_headers: self.allowed_headers.or(others.allowed_headers),
            use_auth: self.use_auth.or(others.use_auth),
        }
    }

    /// What is said of origins, to be compared: whether CORS is on, and the list.
    pub(crate) fn origins(&self) -> impl Hash {
        let texts = |said: &Said<Vec<Item>>| said.value.iter().map(|item| item.text.clone()).collect::<Vec<_>>();
        (self.allow_cors.as_ref().map(|said| said.value), self.allowed_origins.as_ref().map(texts))
    }

    /// What browsers get of it, to be compared: nothing where CORS is off, else the origins and the headers; `None` where it
    /// is not known.
    pub(crate) fn served(&self) -> Option<[BTreeSet<&str>; 2]> {
        if !self.allow_cors.as_ref()?.value {
            return Some([BTreeSet::new(), BTreeSet::new()]);
        }
        let lists = [self.allowed_origins.as_ref()?, self.allowed_headers.as_ref()?];
        Some(lists.map(|list| {
            // To collect them would sort them first, by 4 KB of code that nothing else needs.
            let mut texts = BTreeSet::new();
            texts.extend(list.value.iter().map(|item| &*item.text));
            texts
        }))
    }
}
