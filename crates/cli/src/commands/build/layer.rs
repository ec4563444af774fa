//! `windlass build layer`.

use windlass_image::Layer;

use super::spec::{bad_image, of_target, write_json};
use crate::args::LayerArgs;
use crate::problem::Problem;

pub(crate) fn run(args: &LayerArgs) -> Result<(), Problem> {
    Layer::read(&args.input)
        .map_err(bad_image)
        .and_then(|layer| write_json(&args.output, &layer))
        .map_err(of_target(&args.target))
}
