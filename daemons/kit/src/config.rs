//! Settings: a TOML file, read into a type that refuses unknown keys, errors that name file, line and key.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::secret::{self, Private};
use ipnet::IpNet;
use nms_proto::limits::{SPOOL_BYTES_MIN, SPOOL_EVENTS_MIN};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error, Unexpected, Visitor};

/// Longest settings file, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Why settings cannot be used.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// The file may be written by others than its owner.
    Writable(Private),
    /// The file is longer than [`CONFIG_BYTES_MAX`].
    TooLong(PathBuf),
    /// The file is no TOML, or a key is unknown, missing or of the wrong type.
    Shape(PathBuf, String),
    /// A value is of the right type and cannot be used.
    Value {
        /// The file.
        path: PathBuf,
        /// The key, such as `server.address`.
        key: String,
        /// The value as it stands.
        value: String,
        /// What was expected.
        expected: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read settings {}: {error}", path.display()),
            Self::Writable(private) => write!(f, "settings {private}"),
            Self::TooLong(path) => {
                write!(f, "settings {} are longer than {CONFIG_BYTES_MAX} bytes", path.display())
            }
            Self::Shape(path, problem) => write!(f, "settings {}: {}", path.display(), problem.trim_end()),
            Self::Value { path, key, value, expected } => {
                write!(f, "settings {}: {key} = {value}: expected {expected}", path.display())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Reads `path` into `T`.
///
/// # Errors
/// Names the file, and the line and key that is wrong.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let length = fs::metadata(path).map_err(|error| ConfigError::Read(path.into(), error))?.len();
    if let Some(private) = secret::writable_by_others(path) {
        return Err(ConfigError::Writable(private));
    }
    if length > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLong(path.into()));
    }
    let text = fs::read_to_string(path).map_err(|error| ConfigError::Read(path.into(), error))?;
    parse(path, &text)
}

/// Reads the `text` of `path` into `T`.
///
/// # Errors
/// As [`load`].
pub fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Shape(path.into(), error.to_string()))
}

/// The error for a value of the right type that cannot be used.
pub fn wrong_value(path: &Path, key: &str, value: impl fmt::Display, expected: &str) -> ConfigError {
    ConfigError::Value { path: path.into(), key: key.into(), value: value.to_string(), expected: expected.into() }
}

/// Checks how much a spool may hold. Below, what a source hands over at once might never fit above the fill at which
/// sources wait.
///
/// # Errors
/// Names the key and the least value.
pub fn check_spool(path: &Path, events_max: u64, bytes_max: u64) -> Result<(), ConfigError> {
    let least = [("spool.events_max", events_max, SPOOL_EVENTS_MIN), ("spool.bytes_max", bytes_max, SPOOL_BYTES_MIN)];
    match least.into_iter().find(|(_, value, min)| value < min) {
        Some((key, value, min)) => Err(wrong_value(path, key, value, &format!("at least {min}"))),
        None => Ok(()),
    }
}

/// Reads where to listen: an address and a port, or `false` to leave it off.
///
/// # Errors
/// What stands there instead, and what was expected.
pub fn listen_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    struct Address;
    impl Visitor<'_> for Address {
        type Value = Option<SocketAddr>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an address and a port such as \"0.0.0.0:514\", or false to leave it off")
        }
        fn visit_bool<E: Error>(self, is_on: bool) -> Result<Self::Value, E> {
            if is_on { Err(E::invalid_value(Unexpected::Bool(is_on), &self)) } else { Ok(None) }
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            text.parse().map(Some).map_err(|_invalid| E::invalid_value(Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(Address)
}

/// Reads networks, each with its prefix.
///
/// # Errors
/// What stands there instead, and what was expected.
pub fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    struct Network(IpNet);
    impl<'de> Deserialize<'de> for Network {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_str(Text).map(Self)
        }
    }
    struct Text;
    impl Visitor<'_> for Text {
        type Value = IpNet;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a network with its prefix such as \"192.168.1.0/24\"")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<IpNet, E> {
            text.parse().map_err(|_invalid| E::invalid_value(Unexpected::Str(text), &self))
        }
    }
    Vec::<Network>::deserialize(deserializer).map(|found| found.into_iter().map(|network| network.0).collect())
}
