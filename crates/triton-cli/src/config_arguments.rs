//! The arguments with which every command that talks to a server takes its options.

use std::path::PathBuf;

use clap::Args;

use crate::completion;
use crate::config::Sources;

/// The arguments with which every command that talks to a server takes its options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of the model")]
pub(crate) struct ConfigArguments {
    /// The server's address, over every other place that sets it.
    ///
    /// Where no place sets it, it is http://localhost:8000; embedded is a server within the command.
    #[arg(short, long, value_name = "URL")]
    endpoint: Option<String>,

    /// Set an option, over every other place that sets it; may be repeated.
    ///
    /// A value `@FILE` of a secret option is read from that file: -O auth-token=@token.txt
    #[arg(short = 'O', value_name = "KEY=VALUE", value_parser = key_value, add = completion::options())]
    option: Vec<(String, String)>,

    /// Take options from a TOML file of lines such as `timeout = "5 s"`.
    ///
    /// Without it the file is TRITON_CONFIG, or the nearest triton.toml from the working folder
    /// upwards, or ~/.config/triton/triton.toml. The environment wins over it: TRITON_TIMEOUT,
    /// TRITON_AUTH_TOKEN and so on.
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,

    /// Take the options of `[profile.NAME]` in that file, over its others [default: TRITON_PROFILE].
    #[arg(long, value_name = "NAME", add = completion::profiles())]
    profile: Option<String>,

    /// Take options from no configuration file.
    #[arg(long, conflicts_with_all = ["config", "profile"])]
    no_config: bool,

    /// Show the options and where each comes from, without secrets, and do nothing else.
    #[arg(long)]
    pub(crate) print_config: bool,
}

impl ConfigArguments {
    /// What they say of where options are.
    pub(crate) fn sources(&self) -> Sources {
        Sources {
            endpoint: self.endpoint.clone(),
            option: self.option.clone(),
            config: self.config.clone(),
            profile: self.profile.clone(),
            no_config: self.no_config,
        }
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE, for example timeout=5s".to_owned()),
    }
}
