//! Colours, where they help: on a terminal, unless `NO_COLOR` is set (no-color.org).

use std::fmt;
use std::io::IsTerminal;

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Palette {
    enabled: bool,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// A heading.
    Heading,
    /// Something that the reader need not look at first.
    Faint,
    /// A name: of a function, of a register.
    Name,
    /// What has changed.
    Effect,
    /// An answer.
    Good,
    /// An error.
    Bad,
}

impl Tone {
    const ALL: [Tone; 6] = [Tone::Heading, Tone::Faint, Tone::Name, Tone::Effect, Tone::Good, Tone::Bad];

    /// What switches a terminal to it.
    fn escape(self) -> &'static str {
        match self {
            Tone::Heading => "\x1b[1m",
            Tone::Faint => "\x1b[2m",
            Tone::Name => "\x1b[36m",
            Tone::Effect => "\x1b[33m",
            Tone::Good => "\x1b[32m",
            Tone::Bad => "\x1b[31m",
        }
    }
}

/// What switches a terminal back.
const RESET: &str = "\x1b[0m";

/// A line with the escapes of tones, as HTML: their names in lower case are the classes.
pub(crate) fn to_html(line: &str) -> String {
    let mut html = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for tone in Tone::ALL {
        let class = format!("{tone:?}").to_lowercase();
        html = html.replace(tone.escape(), &format!("<span class={class}>"));
    }
    html.replace(RESET, "</span>")
}

/// A text in its tone.
pub(crate) struct Painted<T> {
    text: T,
    tone: Option<Tone>,
}

impl Palette {
    /// Colours if `stream` is a terminal that wants them.
    pub(crate) fn for_stream(stream: &impl IsTerminal) -> Palette {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let capable = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Palette { enabled: wanted && capable && stream.is_terminal() }
    }

    /// No colours.
    pub(crate) fn plain() -> Palette {
        Palette { enabled: false }
    }

    /// Colours for [`to_html`].
    pub(crate) fn html() -> Palette {
        Palette { enabled: true }
    }

    /// `text`, to be printed in its tone.
    pub(crate) fn paint<T: fmt::Display>(self, tone: Tone, text: T) -> Painted<T> {
        Painted { text, tone: self.enabled.then_some(tone) }
    }
}

/// Width and alignment apply to the text alone.
impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(tone) = self.tone else { return self.text.fmt(f) };
        f.write_str(tone.escape())?;
        self.text.fmt(f)?;
        f.write_str(RESET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_only_padded() {
        assert_eq!(format!("{:<4}|", Palette::plain().paint(Tone::Name, "ab")), "ab  |");
    }

    #[test]
    fn html_is_escaped_and_has_classes() {
        let line = format!("{} & x", Palette::html().paint(Tone::Name, "<main>"));
        assert_eq!(to_html(&line), "<span class=name>&lt;main&gt;</span> &amp; x");
    }

    #[test]
    fn the_padding_is_inside_of_the_colour() {
        let palette = Palette { enabled: true };
        assert_eq!(format!("{:<4}|", palette.paint(Tone::Name, "ab")), "\x1b[36mab  \x1b[0m|");
    }
}
