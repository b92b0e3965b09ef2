//! The users of images, from a list instead of a registry.

use std::collections::BTreeMap;

use serde_json::json;

use flytewarden::shown::around_user;

use crate::yaml;

/// Images and their users, as listed in a YAML file: a map from image references, as manifests write them, to `USER`.
///
/// ```yaml
/// cr.flyte.org/flyteorg/flyteadmin:v1.16.8: flyte
/// postgres:15-alpine: ""
/// ```
#[derive(Debug, Clone, Default)]
pub struct Images(Option<BTreeMap<String, String>>);

impl Images {
    /// Creates the list from image references and their users. An image may have no user.
    pub fn from_users(users: BTreeMap<String, Option<String>>) -> Self {
        Self(Some(users.into_iter().map(|(image, user)| (image, user.unwrap_or_default())).collect()))
    }

    /// Parses such a file.
    ///
    /// # Errors
    ///
    /// The line and the problem.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Keep the spelling: a container runtime takes 0x10 as a name.
        let users = yaml::texts(text).map_err(|malformed| {
            format!("line {}: {}; write a map from images to their USER", malformed.line, malformed.reason)
        })?;
        users.map(Self::from_users).ok_or_else(|| "must list at least one image".to_owned())
    }

    /// Answers with an image's manifest and configuration like Kubewarden's host, but only the user is filled in.
    ///
    /// # Errors
    ///
    /// The image is not listed.
    pub fn answer(&self, image: &str) -> Result<Vec<u8>, String> {
        let Some(users) = &self.0 else {
            return Err("the image users were not given; list them with --image-users FILE, or imageUsers".to_owned());
        };
        let user = users.get(image).ok_or_else(|| {
            let image = around_user(image).map_or(image.to_owned(), |[before, after]| format!("{before}...{after}"));
            format!("{image} is not in the list of image users")
        })?;
        Ok(json!({"manifest": {}, "digest": "", "config": {"config": {"User": user}}}).to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Images;

    #[test]
    fn an_image_has_its_listed_user() {
        let images = Images::parse("a: flyte\nb:\nc: 1001\nd: '0:0'\ne: 0x10\nf: 1_000\ng: 010\n").unwrap();
        for (image, user) in
            [("a", "flyte"), ("b", ""), ("c", "1001"), ("d", "0:0"), ("e", "0x10"), ("f", "1_000"), ("g", "010")]
        {
            let answer: serde_json::Value = serde_json::from_slice(&images.answer(image).unwrap()).unwrap();
            assert_eq!(user, answer["config"]["config"]["User"]);
        }
        assert_eq!(Err("z is not in the list of image users".to_owned()), images.answer("z"));
        assert!(Images::default().answer("a").unwrap_err().starts_with("the image users were not given"));
    }

    #[test]
    fn an_invalid_file_is_rejected_with_its_line() {
        for (text, problem) in [
            ("", "must list at least one image"),
            ("- a\n", "line 1: must be a map; write a map from images to their USER"),
            ("a: b\nc: [d]\n", "line 2: must be a string, not a list; write a map from images to their USER"),
            ("a: b\na: c\n", "line 2: the key a is given twice; write a map from images to their USER"),
        ] {
            assert_eq!(problem, Images::parse(text).unwrap_err(), "{text}");
        }
    }
}
