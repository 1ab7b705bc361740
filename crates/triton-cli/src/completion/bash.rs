//! Completions for Bash, which takes `=` and `:` for words of their own: what it takes apart is put
//! together before it is completed, and the pieces that stand on the line already are left out.

use std::ffi::OsString;
use std::io::{Result, Write};
use std::path::Path;

use clap_complete::engine::{CompletionCandidate, complete};
use clap_complete::env::EnvCompleter;

/// In place of Bash as `clap_complete` has it, which completes `-O KEY=` with the names of flags.
#[derive(Debug)]
pub(super) struct Bash;

/// The function that completes; `$2` is what Bash replaces by one of `COMPREPLY`.
const SCRIPT: &str = r#"_triton_complete() {
    local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT} words=() last=-1 piece index
    for ((index = 0; index <= COMP_CWORD; index++)); do
        piece=${COMP_WORDS[index]}
        [[ $index -lt $COMP_CWORD ]] || piece=${line#"${line%%[![:space:]]*}"}
        # What no space parts is one word.
        if ((last < 0)) || [[ -z $line || $line == [[:space:]]* ]]; then
            words[++last]=$piece
        else
            words[last]+=$piece
        fi
        line=${line#*"$piece"}
    done
    COMPREPLY=($(VARIABLE=bash COMPLETER -- "${words[@]}"))
    local there=${words[last]%"$2"}
    for index in "${!COMPREPLY[@]}"; do
        piece=${COMPREPLY[index]#"$there"}
        [[ $piece != *[[:space:]]* || $there == [\"\']* ]] || printf -v piece %q "$piece"
        COMPREPLY[index]=$piece
    done
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2> /dev/null
    fi
}
complete -o bashdefault -o default -o nosort -F _triton_complete NAME 2> /dev/null ||
    complete -o bashdefault -o default -F _triton_complete NAME
"#;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == self.name()
    }

    fn write_registration(
        &self,
        variable: &str,
        _name: &str,
        program: &str,
        completer: &str,
        buffer: &mut dyn Write,
    ) -> Result<()> {
        let script = SCRIPT
            .replace("VARIABLE", variable)
            .replace("COMPLETER", completer)
            .replace("NAME", program);
        buffer.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        buffer: &mut dyn Write,
    ) -> Result<()> {
        let is_begun = words.last().is_some_and(|word| !word.is_empty());
        let last = words.len().saturating_sub(1);
        let candidates = complete(command, words, last, folder)?;
        let is_flag = |candidate: &CompletionCandidate| {
            candidate.get_value().as_encoded_bytes().starts_with(b"-")
        };
        // Files and models drown in all the flags, which a `-` asks for.
        let only_flags = is_begun || candidates.iter().all(is_flag);
        for candidate in &candidates {
            // Nobody asks for the folder that the shell is in.
            let is_shown = candidate.get_value() != "." || candidates.len() == 1;
            if is_shown && (only_flags || !is_flag(candidate)) {
                writeln!(buffer, "{}", candidate.get_value().to_string_lossy())?;
            }
        }
        Ok(())
    }
}
