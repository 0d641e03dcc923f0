//! Tables on a terminal.

use std::fmt::Write as _;

/// Lines whose columns stand below each other.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    lines: Vec<[String; N]>,
    /// Columns of numbers, which stand at the right.
    numbers: [bool; N],
}

/// Where a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Text(&'static str),
    Number(&'static str),
}

impl<const N: usize> Table<N> {
    /// An empty table with these heads.
    pub(crate) fn new(columns: [Column; N]) -> Self {
        let head = columns.map(|column| match column {
            Column::Text(head) | Column::Number(head) => head.to_owned(),
        });
        let numbers = columns.map(|column| matches!(column, Column::Number(_)));
        Self { lines: vec![head], numbers }
    }

    /// Adds a line. What a terminal would take for more than text is made harmless: it was written by
    /// whoever may write to the broker.
    pub(crate) fn add(&mut self, line: [String; N]) {
        self.lines.push(line.map(|text| plain(&text)));
    }

    /// Whether it has no line but the head.
    pub(crate) fn is_empty(&self) -> bool {
        self.lines.len() < 2
    }

    /// The whole table.
    pub(crate) fn text(&self) -> String {
        let mut widths = [0; N];
        for line in &self.lines {
            for (most, text) in widths.iter_mut().zip(line) {
                *most = width(text).max(*most);
            }
        }
        let mut out = String::new();
        for line in &self.lines {
            let mut written = String::new();
            for ((text, most), is_number) in line.iter().zip(widths).zip(self.numbers) {
                let padding = " ".repeat(most.saturating_sub(width(text)));
                let (before, after) = if is_number { (&*padding, "") } else { ("", &*padding) };
                // Writing to a String does not fail.
                let _ = write!(written, "{before}{text}{after}  ");
            }
            out.push_str(written.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A text without control characters, on one line.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// How many columns of a terminal a text takes up: those of the scripts of East Asia take two per
/// character.
fn width(text: &str) -> usize {
    text.chars().map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

fn is_wide(c: char) -> bool {
    matches!(u32::from(c),
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_also_in_japanese() {
        let mut table =
            Table::new([Column::Text("NAME"), Column::Number("DUE"), Column::Text("OF")]);
        assert!(table.is_empty());
        table.add(["避難所".to_owned(), "5".to_owned(), "a".to_owned()]);
        table.add(["x".to_owned(), "1200".to_owned(), String::new()]);
        let expected = "NAME     DUE  OF\n避難所     5  a\nx       1200\n";
        assert_eq!(table.text(), expected);
    }

    #[test]
    fn what_a_terminal_would_obey_is_made_harmless() {
        let mut table = Table::new([Column::Text("NAME")]);
        table.add(["\u{1b}[2Jcleared\nline".to_owned()]);
        assert!(!table.text().contains('\u{1b}'));
        assert_eq!(table.text().lines().count(), 2);
    }
}
