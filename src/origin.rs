//! Origins, as browsers send them in the header `Origin`. An entry of `allowedOrigins` must equal one, byte for byte.
//!
//! The `url` crate parses URLs as browsers do, by the [WHATWG's standard](https://url.spec.whatwg.org). Here it reads only ASCII
//! names (`idna_adapter` 1.0): the tables of Unicode would be larger than a module may be, and a host that is not ASCII is wrong
//! in any case. A host in punycode stands for such a name; [`label`] knows which ones browsers reject.

mod label;

use std::fmt;

use url::{Host, ParseError, Url};

use crate::verdict::Shortened;

/// An origin that browsers send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(Url);

/// Why no browser ever sends a text as an origin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NeverSent {
    /// The problem.
    pub(crate) reason: Reason,
    /// The origin that a browser sends instead, if known.
    pub(crate) instead: Option<String>,
}

impl NeverSent {
    /// Describes what is wrong with `text`, and what to write instead, if known.
    pub(crate) fn refusal(&self, text: &str) -> String {
        let instead = self.instead_of(text).map_or(String::new(), |instead| format!("; write {instead}"));
        format!("`{}` {}{instead}", shown(text), self.in_words(text))
    }

    /// The reason, worded to follow "it". Of a text with an `@`, the part before it is never shown, so only the `@` is named.
    pub(crate) fn in_words(&self, text: &str) -> String {
        match self.reason {
            Reason::Path | Reason::Slash | Reason::Query | Reason::Fragment if text.contains('@') => {
                "contains an `@`".to_owned()
            }
            reason => reason.to_string(),
        }
    }

    /// Returns the origin to write instead of `text`, if known. The part of `text` before an `@` is never shown.
    pub(crate) fn instead_of(&self, text: &str) -> Option<&String> {
        self.instead.as_ref().filter(|_| !text.contains('@') || self.reason == Reason::User)
    }
}

/// Why a text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Empty,
    Placeholder,
    WhiteSpace,
    Pattern,
    NoScheme,
    Several,
    TwoSchemes,
    NoHost,
    InvalidPort,
    InvalidPunycode,
    OtherScheme,
    LongHost,
    User,
    Query,
    Fragment,
    Path,
    Slash,
    // The rest are other ways to write an origin: a URL may use them, an origin may not.
    NotPunycode,
    UpperCase,
    DefaultPort,
    OtherwiseWritten,
}

impl fmt::Display for Reason {
    /// Writes the reason, worded to follow "it".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "is empty",
            Self::Placeholder => "contains a placeholder that was not replaced",
            Self::WhiteSpace => "contains white space",
            Self::Pattern => "contains a `*`, which is not a wildcard here",
            Self::NoScheme => "has no scheme",
            Self::Several => "contains a comma or a semicolon: each origin must be its own item",
            Self::TwoSchemes => "has two schemes",
            Self::NoHost => "has no valid host",
            Self::InvalidPort => "has an invalid port",
            Self::InvalidPunycode => "has an invalid `xn--` part in its host, which browsers reject",
            Self::OtherScheme => "has a scheme other than https or http",
            Self::LongHost => "has a host name that is too long",
            Self::User => "contains a user",
            Self::Query => "has a query",
            Self::Fragment => "has a fragment",
            Self::Path => "has a path",
            Self::Slash => "ends with a slash",
            Self::NotPunycode => "has a host that is not in punycode",
            Self::UpperCase => "has upper-case letters",
            Self::DefaultPort => "names the scheme's default port",
            Self::OtherwiseWritten => "has a host that browsers write differently",
        })
    }
}

/// The maximum length of a host, in bytes, including the dot that DNS puts at the end: RFC 1035.
const LONGEST_HOST: usize = 254;

impl Origin {
    /// Reads an origin.
    ///
    /// # Errors
    ///
    /// It is not an origin, or browsers write it differently.
    pub(crate) fn parse(text: &str) -> Result<Self, NeverSent> {
        // The suggestion must be an origin itself.
        let is_origin = |text: &String| Self::examine(text).is_ok();
        Self::examine(text)
            .map_err(|NeverSent { reason, instead }| NeverSent { reason, instead: instead.filter(is_origin) })
    }

    fn examine(text: &str) -> Result<Self, NeverSent> {
        let never = |reason| Err(NeverSent { reason, instead: None });
        if text.is_empty() {
            return never(Reason::Empty);
        }
        if text.contains(['<', '>', '{', '}', '$']) {
            return never(Reason::Placeholder);
        }
        if text.contains(|character: char| character.is_whitespace() || character.is_control()) {
            let trimmed = Some(text.trim()).filter(|trimmed| *trimmed != text).map(Self::parse);
            let instead =
                trimmed.and_then(|read| read.map_or_else(|never| never.instead, |origin| Some(origin.to_string())));
            return Err(NeverSent { reason: Reason::WhiteSpace, instead });
        }
        if text.contains('*') {
            return never(Reason::Pattern);
        }
        if !text.contains("://") {
            let reason = if has_other_scheme(text) { Reason::OtherScheme } else { Reason::NoScheme };
            return Err(NeverSent { reason, instead: with_scheme(text) });
        }
        if text.contains([',', ';']) {
            return never(Reason::Several);
        }
        if text.matches("://").count() > 1 {
            return never(Reason::TwoSchemes);
        }
        let url = match parse(text) {
            Ok(url) => url,
            Err(reason) if text.is_ascii() => return never(reason),
            Err(_) => {
                let Some(url) = punycode(text).filter(|url| matches!(url.scheme(), "https" | "http")) else {
                    return never(Reason::NotPunycode);
                };
                return Err(NeverSent {
                    reason: difference(text, &url),
                    instead: Some(url.origin().ascii_serialization()),
                });
            }
        };
        if !matches!(url.scheme(), "https" | "http") {
            return never(Reason::OtherScheme);
        }
        let host = url.host_str().unwrap_or_default();
        if host.len() > LONGEST_HOST {
            return never(Reason::LongHost);
        }
        let sent = url.origin().ascii_serialization();
        if sent == text {
            return Ok(Self(url));
        }
        Err(NeverSent { reason: difference(text, &url), instead: Some(sent) })
    }

    /// Whether someone between a browser and the origin can read and change what they send.
    pub(crate) fn is_plain_http(&self) -> bool {
        self.0.scheme() == "http" && !self.is_loopback()
    }

    /// The origin over https.
    pub(crate) fn over_https(&self) -> Self {
        let https = self.to_string().replacen("http:", "https:", 1);
        // The port may be https's default one.
        let written = Self::parse(&https).or_else(|never| Self::parse(never.instead.as_deref().unwrap_or_default()));
        written.unwrap_or_else(|_| self.clone())
    }

    /// The origin's host, as browsers write it.
    pub(crate) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether the host is a name rather than an address.
    pub(crate) fn has_name(&self) -> bool {
        matches!(self.0.host(), Some(Host::Domain(_)))
    }

    /// Whether the port is not the scheme's default.
    pub(crate) fn has_port(&self) -> bool {
        self.0.port().is_some()
    }

    /// Whether two origins differ only in their scheme, if at all.
    pub(crate) fn is_same_but_for_scheme(&self, other: &Self) -> bool {
        self.host() == other.host() && self.0.port() == other.0.port()
    }

    /// Whether both may be of one site, which cookies are bound to: the scheme and the registered domain. The list of such domains
    /// is larger than a module may be, so the domain is taken to be two labels, or three below a registry with two, such as
    /// `co.uk`.
    #[cfg(feature = "flyte-console-url")]
    pub(crate) fn may_be_same_site(&self, other: &Self) -> bool {
        // `example.co.uk`, as in most countries' registries.
        const SECOND: [&str; 9] = ["ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"];
        // The names that AWS gives to load balancers, each a site of its own.
        const LOAD_BALANCERS: &str = ".elb.amazonaws.com";
        let domain = |host: &str| {
            if host.ends_with(LOAD_BALANCERS) {
                return host.to_owned();
            }
            let mut labels = host.rsplit('.');
            let is_country = labels.next().is_some_and(|last| last.len() == 2);
            let has_two = is_country && labels.next().is_some_and(|label| SECOND.contains(&label));
            match host.rmatch_indices('.').nth(if has_two { 2 } else { 1 }) {
                Some((dot, _)) => host[dot + 1..].to_owned(),
                None => host.to_owned(),
            }
        };
        let is_same = match (self.has_name(), other.has_name()) {
            (true, true) => domain(self.host()) == domain(other.host()),
            _ => self.host() == other.host(),
        };
        is_same && self.0.scheme() == other.0.scheme()
    }

    /// Whether the origin is on the user's own machine. Source:
    /// [Secure Contexts](https://www.w3.org/TR/secure-contexts/#is-origin-trustworthy).
    pub(crate) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.origin().ascii_serialization())
    }
}

/// A URL or an origin as it can be shown: without a user and password, and without a query or fragment, which may hold a
/// token.
pub(crate) fn shown(text: &str) -> String {
    let start = text.find("://").map_or(0, |scheme| scheme + 3);
    let (scheme, rest) = text.split_at(start);
    let (dots, rest) = rest.rfind('@').map_or(("", rest), |at| ("...", &rest[at..]));
    let end = rest.find(['?', '#']).map_or(rest.len(), |end| end + 1);
    let more = if end < rest.len() { "..." } else { "" };
    Shortened(&format!("{scheme}{dots}{}{more}", &rest[..end])).to_string()
}

/// Reads a URL as browsers do.
///
/// # Errors
///
/// Browsers reject it.
fn parse(text: &str) -> Result<Url, Reason> {
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::IdnaError if text.to_ascii_lowercase().contains("xn--") => Reason::InvalidPunycode,
        // Of a text with an `@`, a part of the password may be taken for the port.
        ParseError::InvalidPort if !text.contains('@') => Reason::InvalidPort,
        _ => Reason::NoHost,
    })?;
    let is_refused = url.host_str().is_some_and(|host| host.split('.').any(label::is_refused));
    if is_refused { Err(Reason::InvalidPunycode) } else { Ok(url) }
}

/// How a URL differs from its origin.
fn difference(text: &str, url: &Url) -> Reason {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if !url.username().is_empty() || url.password().is_some() || authority.contains('@') {
        Reason::User
    } else if url.query().is_some() {
        Reason::Query
    } else if url.fragment().is_some() {
        Reason::Fragment
    } else if url.path() != "/" {
        Reason::Path
    } else if after_scheme.len() > authority.len() {
        Reason::Slash
    } else if !text.is_ascii() {
        Reason::NotPunycode
    } else if text.contains(|character: char| character.is_ascii_uppercase()) {
        Reason::UpperCase
    } else if url.port().is_none() && authority.rfind(':') > authority.rfind(']') {
        Reason::DefaultPort
    } else {
        Reason::OtherwiseWritten
    }
}

/// The origin of a text that may be a host without a scheme.
fn with_scheme(text: &str) -> Option<String> {
    let host = text.trim_start_matches("//");
    // `https:/console.example.com` is meant to have a scheme.
    let is_host = !text.starts_with("http")
        && host.contains(|letter: char| letter.is_ascii_alphabetic())
        && (host.contains('.') || host.starts_with("localhost"));
    let is_host = is_host && host.split_once(':').is_none_or(|(_, rest)| begins_with_port(rest));
    let scheme = if host.starts_with("localhost") { "http" } else { "https" };
    let origin = parse(&format!("{scheme}://{host}")).ok().filter(|_| is_host)?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// Whether a text such as `javascript:alert(1)` begins with a scheme other than https and http, and not with a host and a port.
fn has_other_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
        // Before an `@`, it is a user and a password.
        is_scheme && !scheme.to_ascii_lowercase().starts_with("http") && !begins_with_port(rest) && !rest.contains('@')
    })
}

/// Whether the text after a host's colon is a port, or a port and a path.
fn begins_with_port(rest: &str) -> bool {
    rest.split('/').next().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A URL with its non-ASCII host in punycode, if the host's letters are ordinary ones.
fn punycode(text: &str) -> Option<Url> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let start = authority.rfind('@').map_or(0, |at| at + 1);
    let (user, rest) = rest.split_at(start);
    let host = rest.split(['/', '?', '#', ':']).next()?;
    let labels = host.split('.').map(|label| {
        if label.is_ascii() {
            return Some(label.to_owned());
        }
        let label: String = label.chars().map(lower).collect();
        // Letters that Unicode writes in more than one way, and ß, are left to a browser.
        let is_ordinary = label.chars().all(|letter| {
            matches!(letter, 'a'..='z' | '0'..='9' | '-' | 'à'..='ö' | 'ø'..='þ' | 'а'..='я' | '一'..='鿿' | 'ぁ'..='ゖ')
        });
        is_ordinary.then(|| idna::punycode::encode_str(&label).map(|label| format!("xn--{label}"))).flatten()
    });
    let host = labels.collect::<Option<Vec<_>>>()?.join(".");
    let rest = &rest[rest.find(['/', '?', '#', ':']).unwrap_or(rest.len())..];
    parse(&format!("{scheme}://{user}{host}{rest}")).ok().filter(|url| url.origin().is_tuple())
}

/// Lower-cases ASCII, Latin-1 and Russian letters; a table of all letters would be a tenth of a module.
fn lower(letter: char) -> char {
    match letter {
        'A'..='Z' => letter.to_ascii_lowercase(),
        'À'..='Ö' | 'Ø'..='Þ' | 'А'..='Я' => char::from_u32(letter as u32 + 32).unwrap_or(letter),
        _ => letter,
    }
}
