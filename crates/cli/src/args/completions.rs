//! `windlass completions`.

use clap::Args;
use clap_complete::Shell;

/// Print a script that completes windlass's arguments in a shell
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  bash   windlass completions bash > ~/.local/share/bash-completion/completions/windlass
  zsh    windlass completions zsh > \"${fpath[1]}/_windlass\"
  fish   windlass completions fish > ~/.config/fish/completions/windlass.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}
