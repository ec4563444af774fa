//! Image configs: what an image says on top of what its base says. Image-spec,
//! [config.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md).

mod port;
#[cfg(test)]
mod tests;
mod timestamp;
mod variable;

use serde_json::{Map, Value, json};
use windlass_oci::{Digest, Platform};

pub use port::{ExposedPort, PortError, Volume, VolumeError};
pub use timestamp::{Timestamp, TimestampError};
pub use variable::{EnvError, EnvVariable};

/// The time of what has none, so that the same image is the same bytes at any time.
pub(crate) const EPOCH: &str = "1970-01-01T00:00:00Z";

/// What an image says of itself beside its layers; what is not said stays as the base has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigChanges {
    /// What is run. The base's arguments to it are dropped then.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, or what is run where there is no entrypoint.
    pub cmd: Option<Vec<String>>,
    /// Variables, set one after another over the base's.
    pub env: Vec<EnvVariable>,
    /// Who runs it.
    pub user: Option<String>,
    /// Where it is run.
    pub workdir: Option<String>,
    /// Ports beside the base's.
    pub exposed_ports: Vec<ExposedPort>,
    /// Volumes beside the base's.
    pub volumes: Vec<Volume>,
    /// Labels over the base's.
    pub labels: Vec<Note>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

/// A label or an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    key: String,
    value: String,
}

/// A label or an annotation without a key. Image-spec,
/// [annotations.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md#rules).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is empty: its value is {0:?}")]
pub struct NoKey(String);

/// Why a config cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is no JSON object.
    #[error("it is not the JSON of an image's config: {0}")]
    Json(String),
    /// Something in it is of another type.
    #[error("its {place} is no {expected}")]
    Type {
        /// Where: `config.Env`.
        place: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// It does not say what the image runs on.
    #[error("it does not say which {0} the image is for")]
    NoPlatform(&'static str),
}

impl Note {
    /// `value` under `key`.
    pub fn new(key: &str, value: &str) -> Result<Note, NoKey> {
        match key {
            "" => Err(NoKey(value.to_owned())),
            _ => Ok(Note { key: key.to_owned(), value: value.to_owned() }),
        }
    }

    pub(crate) fn add_to(&self, notes: &mut Map<String, Value>) {
        notes.insert(self.key.clone(), Value::from(self.value.as_str()));
    }
}

/// A config, of which only those fields are looked at that are changed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config(Map<String, Value>);

impl Config {
    /// The config of an image of nothing.
    pub(crate) fn scratch(platform: &Platform) -> Config {
        let mut config = Map::new();
        config.insert("created".to_owned(), json!(EPOCH));
        config.insert("architecture".to_owned(), json!(platform.architecture));
        config.insert("os".to_owned(), json!(platform.os));
        if let Some(variant) = &platform.variant {
            config.insert("variant".to_owned(), json!(variant));
        }
        config.insert("config".to_owned(), json!({}));
        config.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": [] }));
        config.insert("history".to_owned(), json!([]));
        Config(config)
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Config, ConfigError> {
        let config = serde_json::from_slice(bytes);
        config.map(Config).map_err(|error| ConfigError::Json(error.to_string()))
    }

    /// The bytes it is written as: the same for the same content.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        Value::Object(self.0.clone()).to_string().into_bytes()
    }

    /// What the image runs on.
    pub(crate) fn platform(&self) -> Result<Platform, ConfigError> {
        let text = |place: &'static str| match self.0.get(place) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(ConfigError::Type { place, expected: "text" }),
        };
        Ok(Platform {
            architecture: text("architecture")?.ok_or(ConfigError::NoPlatform("architecture"))?,
            os: text("os")?.ok_or(ConfigError::NoPlatform("operating system"))?,
            os_version: text("os.version")?,
            os_features: match self.0.get("os.features") {
                Some(features) => texts(features, "os.features")?,
                None => Vec::new(),
            },
            variant: text("variant")?,
        })
    }

    /// How many layers it tells of.
    pub(crate) fn layers(&self) -> Result<usize, ConfigError> {
        let place = "rootfs.diff_ids";
        match self.0.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")) {
            None | Some(Value::Null) => Ok(0),
            Some(diff_ids) => texts(diff_ids, place).map(|diff_ids| diff_ids.len()),
        }
    }

    /// Adds layers on top, which were `created_by` something.
    ///
    /// A history that does not tell of the layers that are there stays as it is: readers count it
    /// against the layers, and one that is short would shift all of them.
    pub(crate) fn add_layers(
        &mut self,
        diff_ids: impl IntoIterator<Item = Digest>,
        created_by: &str,
    ) -> Result<(), ConfigError> {
        let there = self.layers()?;
        let diff_ids: Vec<_> = diff_ids.into_iter().map(|digest| json!(digest)).collect();
        let added = diff_ids.len();
        let rootfs = object(&mut self.0, "rootfs", "rootfs")?;
        rootfs.insert("type".to_owned(), json!("layers"));
        list(rootfs, "diff_ids", "rootfs.diff_ids")?.extend(diff_ids);
        let history = list(&mut self.0, "history", "history")?;
        let is_layer = |entry: &&Value| entry.get("empty_layer") != Some(&Value::Bool(true));
        if history.iter().filter(is_layer).count() == there {
            let entry = json!({ "created": EPOCH, "created_by": created_by });
            history.extend(std::iter::repeat_n(entry, added));
        } else if history.is_empty() {
            self.0.remove("history");
        }
        Ok(())
    }

    /// Says what `changes` say.
    pub(crate) fn apply(&mut self, changes: &ConfigChanges) -> Result<(), ConfigError> {
        if let Some(created) = &changes.created {
            self.0.insert("created".to_owned(), json!(created.as_str()));
        }
        let config = object(&mut self.0, "config", "config")?;
        if let Some(entrypoint) = &changes.entrypoint {
            config.insert("Entrypoint".to_owned(), json!(entrypoint));
            config.remove("Cmd");
        }
        if let Some(cmd) = &changes.cmd {
            config.insert("Cmd".to_owned(), json!(cmd));
        }
        if !changes.env.is_empty() {
            let mut environment = match config.get("Env") {
                None | Some(Value::Null) => Vec::new(),
                Some(there) => texts(there, "config.Env")?,
            };
            changes.env.iter().for_each(|one| variable::set(&mut environment, one));
            config.insert("Env".to_owned(), json!(environment));
        }
        for (key, text) in [("User", &changes.user), ("WorkingDir", &changes.workdir)] {
            if let Some(text) = text {
                config.insert(key.to_owned(), json!(text));
            }
        }
        if !changes.exposed_ports.is_empty() {
            let ports = object(config, "ExposedPorts", "config.ExposedPorts")?;
            for port in &changes.exposed_ports {
                ports.entry(port.as_str()).or_insert_with(|| json!({}));
            }
        }
        if !changes.volumes.is_empty() {
            let volumes = object(config, "Volumes", "config.Volumes")?;
            for volume in &changes.volumes {
                volumes.entry(volume.as_str()).or_insert_with(|| json!({}));
            }
        }
        if !changes.labels.is_empty() {
            let labels = object(config, "Labels", "config.Labels")?;
            changes.labels.iter().for_each(|label| label.add_to(labels));
        }
        Ok(())
    }
}

/// The object under `key`, which is made where there is none; `null` is none, as Go writes it.
pub(crate) fn object<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
    place: &'static str,
) -> Result<&'a mut Map<String, Value>, ConfigError> {
    let value = parent.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!({});
    }
    value.as_object_mut().ok_or(ConfigError::Type { place, expected: "JSON object" })
}

/// The list under `key`, which is made where there is none.
pub(crate) fn list<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
    place: &'static str,
) -> Result<&'a mut Vec<Value>, ConfigError> {
    let value = parent.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = json!([]);
    }
    value.as_array_mut().ok_or(ConfigError::Type { place, expected: "list" })
}

fn texts(value: &Value, place: &'static str) -> Result<Vec<String>, ConfigError> {
    let wrong = ConfigError::Type { place, expected: "list of texts" };
    if value.is_null() {
        return Ok(Vec::new());
    }
    let values = value.as_array().ok_or_else(|| wrong.clone())?;
    values
        .iter()
        .map(|value| value.as_str().map(str::to_owned).ok_or_else(|| wrong.clone()))
        .collect()
}
