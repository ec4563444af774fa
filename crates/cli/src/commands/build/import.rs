//! `windlass build import`: an image that something else has made, to build on.

use windlass_image::{ImportError, ImportedImage, Layout, WantedPlatform, import};

use super::spec::{bad_image, of_target, write, write_descriptor};
use crate::args::ImportArgs;
use crate::problem::Problem;

pub(crate) async fn run(args: &ImportArgs) -> Result<(), Problem> {
    take(args).await.map_err(of_target(&args.target))
}

async fn take(args: &ImportArgs) -> Result<(), Problem> {
    let wanted = args.platform.as_deref().map(str::parse::<WantedPlatform>).transpose();
    let wanted = wanted.map_err(|error| Problem::usage(format!("--platform: {error}")))?;
    let layout = Layout::open(&args.layout).await.map_err(bad_image)?;
    let taken = import(&layout, wanted.as_ref()).await;
    let ImportedImage { manifest, config, descriptor } = taken.map_err(|error| {
        let message = format!("{}: {error}", args.layout.display());
        match error {
            // The image is fine; the BUILD file does not say which part of it is meant.
            ImportError::Several(_) | ImportError::NoSuchPlatform { .. } => Problem::usage(message),
            _ => bad_image(message),
        }
    })?;
    write(&args.manifest, manifest)?;
    write(&args.config, config)?;
    write_descriptor(&args.descriptor, &args.digest, &descriptor)
}
