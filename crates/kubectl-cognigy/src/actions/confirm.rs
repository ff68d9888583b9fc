//! Asks before much, or what cannot be undone, is done.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use crate::exit::Result;

/// A person's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Do it.
    Yes,
    /// Do not.
    No,
    /// There is nobody to ask.
    Nobody,
}

/// Asks on the terminal. Only `y` and `yes` mean yes.
pub fn ask(question: &str) -> Result<Answer> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Ok(Answer::Nobody);
    }
    anstream::eprint!("{question} [y/N] ");
    anstream::stderr().flush()?;
    Ok(read(&mut input.lock())?)
}

fn read(input: &mut impl BufRead) -> io::Result<Answer> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let yes = ["y", "yes"].contains(&line.trim().to_lowercase().as_str());
    Ok(if yes { Answer::Yes } else { Answer::No })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_means_yes() {
        for (line, answer) in [
            ("y\n", Answer::Yes),
            (" YES \n", Answer::Yes),
            ("\n", Answer::No),
            ("n\n", Answer::No),
            ("", Answer::No),
            ("yess\n", Answer::No),
        ] {
            assert_eq!(read(&mut line.as_bytes()).unwrap(), answer, "{line:?}");
        }
    }
}
