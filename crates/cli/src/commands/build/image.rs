//! `windlass build image`: layers and a config on top of a base, or of nothing.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use windlass_image::{Base, ConfigChanges, EnvVariable, ImageChanges, Layer, Note, Timestamp};
use windlass_oci::Platform;

use super::spec::{bad_image, of_target, read_json, read_part, write, write_descriptor};
use super::values::{Pairs, Values, text};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    target: String,
    base: Option<BaseFiles>,
    layers: Vec<PathBuf>,
    platform: Option<PlatformSpec>,
    entrypoint: Option<Values<String>>,
    cmd: Option<Values<String>>,
    env: Option<Pairs>,
    #[serde(default)]
    user: String,
    #[serde(default)]
    workdir: String,
    exposed_ports: Option<Values<String>>,
    volumes: Option<Values<String>>,
    labels: Option<Pairs>,
    annotations: Option<Pairs>,
    created: Option<PathBuf>,
    outputs: Outputs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaseFiles {
    manifest: PathBuf,
    config: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlatformSpec {
    os: String,
    architecture: String,
    variant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outputs {
    manifest: PathBuf,
    config: PathBuf,
    descriptor: PathBuf,
    digest: PathBuf,
}

pub(crate) fn run(spec: &Path) -> Result<(), Problem> {
    let spec: Spec = read_json(spec, "the spec")?;
    let target = spec.target.clone();
    build(spec).map_err(of_target(&target))
}

fn build(spec: Spec) -> Result<(), Problem> {
    let base = base(spec.base, spec.platform)?;
    let layers = spec.layers.iter().map(|layer| read_json::<Layer>(layer, "the layer"));
    let changes = ImageChanges {
        layers: layers.collect::<Result<_, _>>()?,
        created_by: format!("bazel build {}", in_its_repository(&spec.target)),
        config: ConfigChanges {
            entrypoint: spec.entrypoint.map(Values::arguments).transpose()?,
            cmd: spec.cmd.map(Values::arguments).transpose()?,
            env: Pairs::make_all(spec.env, "env", EnvVariable::new)?,
            user: Some(spec.user).filter(|user| !user.is_empty()),
            workdir: Some(spec.workdir).filter(|workdir| !workdir.is_empty()),
            exposed_ports: Values::parse_all(spec.exposed_ports, "exposed_ports")?,
            volumes: Values::parse_all(spec.volumes, "volumes")?,
            labels: Pairs::make_all(spec.labels, "labels", Note::new)?,
            created: spec.created.as_deref().map(time).transpose()?,
        },
        annotations: Pairs::make_all(spec.annotations, "annotations", Note::new)?,
    };
    let image = base.assemble(&changes).map_err(bad_image)?;
    write(&spec.outputs.manifest, image.manifest.bytes())?;
    write(&spec.outputs.config, &image.config)?;
    write_descriptor(&spec.outputs.descriptor, &spec.outputs.digest, &image.descriptor())
}

fn base(files: Option<BaseFiles>, platform: Option<PlatformSpec>) -> Result<Base, Problem> {
    match (files, platform) {
        (Some(files), None) => {
            let manifest = read_part(&files.manifest, "the base's manifest")?;
            let config = read_part(&files.config, "the base's config")?;
            Base::parse(&manifest, &config).map_err(|error| {
                let file = files.manifest.display();
                bad_image(error).hint(format!("the base's manifest is {file}"))
            })
        }
        (None, Some(PlatformSpec { os, architecture, variant })) => {
            if os.is_empty() || architecture.is_empty() {
                let words = "an image without a base needs an operating system and an architecture";
                return Err(Problem::usage(words));
            }
            let variant = variant.filter(|variant| !variant.is_empty());
            let os_features = Vec::new();
            let platform = Platform { architecture, os, os_version: None, os_features, variant };
            Ok(Base::scratch(&platform))
        }
        (Some(_), Some(_)) => {
            Err(Problem::usage("a platform is given although the base says what it runs on"))
        }
        (None, None) => Err(Problem::usage("an image without a base needs a platform")),
    }
}

fn time(file: &Path) -> Result<Timestamp, Problem> {
    let text = text(file)?;
    let time = text.trim().parse();
    time.map_err(|error| Problem::usage(format!("created: {}: {error}", file.display())))
}

/// A label as its own workspace has it: seen from another, the same image has the same bytes.
fn in_its_repository(label: &str) -> &str {
    label.find("//").map_or(label, |place| &label[place..])
}
