//! Words of others on their way to people: into statuses, events, audit lines and logs.

/// A text on one line: white space, control characters (line breaks, ANSI escapes) and characters that cannot be seen or turn
/// the direction of what follows become blanks, and of several blanks one remains.
pub fn one_line(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}

/// [`one_line`] (no more of it than is kept), cut at a length in characters, of which the last is then `…`; `None` where nothing is left.
pub fn clean(text: &str, max: usize) -> Option<String> {
    let mut line = String::new();
    for word in words(text) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().nth(max).is_some() {
            break;
        }
    }
    (!line.is_empty()).then(|| cut(line, max))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || is_unfit(c)).filter(|word| !word.is_empty())
}

/// A text of at most so many characters; where it was longer the last is `…`.
pub fn cut(mut text: String, max: usize) -> String {
    if text.chars().nth(max).is_some() {
        let keep = text.char_indices().nth(max.saturating_sub(1)).map_or(0, |(end, _)| end);
        text.truncate(keep);
        text.push('…');
    }
    text
}

/// Whether a character has no place in what people read: a control character, or one that is invisible or turns directions.
pub fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_deceive_a_reader_becomes_a_blank() {
        for (text, line) in [
            ("upstream  connect\n\terror ", "upstream connect error"),
            ("red\u{1b}[31m", "red [31m"),
            ("a\u{202e}b\u{2066}c\u{200f}d\u{61c}e", "a b c d e"),
            ("in\u{200b}vi\u{ad}si\u{feff}b\u{e0041}le", "in vi si b le"),
            ("c1\u{9b}31m\u{85}", "c1 31m"),
            ("größe → 7 שלום", "größe → 7 שלום"),
        ] {
            assert_eq!(one_line(text), line, "{text:?}");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("ääää".into(), 4), "ääää");
        assert_eq!(cut("äääää".into(), 4), "äää…");
        assert_eq!(clean(" \u{200b}\n", 4), None);
    }

    proptest! {
        #[test]
        fn nothing_unfit_remains_and_no_length_is_exceeded(text in "\\PC{0,20}.{0,40}\\p{C}{0,20}", max in 1..50_usize) {
            if let Some(line) = clean(&text, max) {
                prop_assert!(line.chars().count() <= max);
                prop_assert!(!line.chars().any(is_unfit), "{line:?}");
            }
        }
    }
}
