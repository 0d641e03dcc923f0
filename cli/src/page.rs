//! The page at `/`: what is running, and what to try.

use std::fmt::Write as _;

/// A line of a table.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// What it is.
    pub(crate) name: String,
    /// How it is now.
    pub(crate) value: String,
}

/// What the page says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// What is running.
    pub(crate) running: Vec<Line>,
    /// What is arriving and what was delivered.
    pub(crate) counts: Vec<Line>,
    /// Commands that work as they stand.
    pub(crate) commands: Vec<(String, String)>,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:52rem;padding:0 1rem;\
color:#1c2733;background:#fbfbf9}h1{font-size:1.6rem}h2{font-size:1.1rem;margin-top:2rem}\
table{border-collapse:collapse;width:100%}td{border-top:1px solid #dcdcd4;padding:.35rem .5rem;vertical-align:top}\
td:first-child{width:14rem;color:#5a6672}pre{background:#1c2733;color:#e8efe8;padding:.8rem;overflow-x:auto;\
border-radius:4px;font-size:13px}a{color:#0b5d8a}";

impl Page {
    /// The page as HTML: complete in itself, without a script.
    pub(crate) fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <meta http-equiv=\"refresh\" content=\"5\"><title>Musubi</title><style>{STYLE}</style></head>\
             <body><h1>Musubi 結び</h1><p>An NGSI-LD context broker with the adapters that feed it. \
             <a href=\"/docs\">API</a> · \
             <a href=\"/health/ready\">health</a> · <a href=\"/metrics\">metrics</a> · \
             <a href=\"/musubi/v1/adapters\">adapters</a> · \
             <a href=\"/musubi/v1/dead-letters\">dead letters</a></p>"
        );
        table(&mut html, "Running", &self.running);
        table(&mut html, "Now", &self.counts);
        if !self.commands.is_empty() {
            html.push_str("<h2>Try</h2>");
            for (about, command) in &self.commands {
                let _ = write!(html, "<p>{}</p><pre>{}</pre>", escaped(about), escaped(command));
            }
        }
        html.push_str("</body></html>");
        html
    }
}

fn table(html: &mut String, title: &str, lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(html, "<h2>{title}</h2><table>");
    for line in lines {
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td></tr>",
            escaped(&line.name),
            escaped(&line.value)
        );
    }
    html.push_str("</table>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_can_become_a_tag() {
        let page = Page {
            running: vec![Line { name: "<b>".to_owned(), value: "\"&\"".to_owned() }],
            ..Page::default()
        };
        let html = page.html();
        assert!(html.contains("&lt;b&gt;") && html.contains("&quot;&amp;&quot;"));
        assert!(!html.contains("<b>"));
    }
}
