//! A folder like the one that an action of Bazel runs in, with what it needs.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_oci::Digest;

/// A folder that steps run in, with relative paths.
pub(crate) struct Root(TempDir);

/// How a step ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stderr: String,
}

impl Root {
    pub(crate) fn new() -> Root {
        Root(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    /// Runs a step as an action does: in this folder, with an empty environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        let command = command.env_clear().current_dir(self.0.path()).arg("build").args(arguments);
        let Output { status, stdout, stderr } = command.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&stdout), "");
        Ended { code: status.code().unwrap(), stderr: String::from_utf8(stderr).unwrap() }
    }

    /// Runs a step that is told what to do by a spec.
    pub(crate) fn run_spec(&self, step: &str, spec: &Value) -> Ended {
        self.write("spec.json", spec.to_string());
        self.run(&[step, "spec.json"])
    }

    /// Makes `content` a layer and describes it in `NAME.json`.
    #[track_caller]
    pub(crate) fn layer(&self, name: &str, content: &[u8]) {
        self.write(name, content);
        self.describe(name).succeeded();
    }

    pub(crate) fn describe(&self, name: &str) -> Ended {
        let output = format!("{name}.json");
        self.run(&["layer", "--input", name, "--output", &output, "--target", "//app:layer"])
    }

    /// Builds `NAME.manifest.json` and so on from `fields` over those of an image of nothing.
    pub(crate) fn image(&self, name: &str, fields: &Value) -> Ended {
        let mut spec = json!({
            "target": format!("//app:{name}"),
            "base": null,
            "layers": [],
            "platform": { "os": "linux", "architecture": "arm64", "variant": null },
            "entrypoint": null, "cmd": null, "env": null, "user": "", "workdir": "",
            "exposed_ports": null, "volumes": null, "labels": null, "annotations": null,
            "created": null,
            "outputs": {
                "manifest": format!("{name}.manifest.json"),
                "config": format!("{name}.config.json"),
                "descriptor": format!("{name}.descriptor.json"),
                "digest": format!("{name}.digest"),
            },
        });
        for (key, value) in fields.as_object().unwrap() {
            spec[key] = value.clone();
        }
        self.run_spec("image", &spec)
    }

    /// Imports from `layout` into `NAME.manifest.json` and so on.
    pub(crate) fn import(&self, name: &str, layout: &Path, platform: Option<&str>) -> Ended {
        let outputs = ["manifest.json", "config.json", "descriptor.json", "digest"]
            .map(|output| format!("{name}.{output}"));
        let [manifest, config, descriptor, digest] = outputs.each_ref().map(String::as_str);
        let mut arguments = vec!["import", "--layout", layout.to_str().unwrap()];
        arguments.extend(["--manifest", manifest, "--config", config]);
        arguments.extend(["--descriptor", descriptor, "--digest", digest]);
        arguments.extend(["--target", "//base:base"]);
        if let Some(platform) = platform {
            arguments.extend(["--platform", platform]);
        }
        self.run(&arguments)
    }
}

impl Ended {
    /// It did what it should, and had nothing to say.
    #[track_caller]
    pub(crate) fn succeeded(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""));
    }

    /// It did what it should, and said this.
    #[track_caller]
    pub(crate) fn warned(&self, expected: &str) {
        assert_eq!((self.code, self.stderr.as_str()), (0, expected));
    }

    /// It did not, and said why.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, expected: &str) {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert!(self.stderr.starts_with("error: "), "{}", self.stderr);
        assert!(self.stderr.contains(expected), "{}", self.stderr);
    }
}

/// An archive with one file.
pub(crate) fn archive(path: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, path, content).unwrap();
    archive.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What the tool `program` makes of `bytes`; `None` where the machine does not have it.
pub(crate) fn piped(program: &str, arguments: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Digest::sha256(bytes).to_string()
}
