//! Several operators, each for its own part.
