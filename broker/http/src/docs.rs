//! `/docs`: the page on which a person reads `/openapi.json`.
//!
//! One page that needs nothing from elsewhere. Its style and its script are in it, under a number
//! used once, so that a browser runs nothing else.

use axum::response::IntoResponse;
use http::{HeaderValue, header};
use uuid::Uuid;

use crate::error::Error;
use crate::problem::Problem;

const PAGE: &str = include_str!("docs/page.html");
const STYLE: &str = include_str!("docs/style.css");
const SCRIPT: &str = include_str!("docs/script.js");

/// Answers with the page.
pub(crate) async fn show() -> Result<impl IntoResponse, Problem> {
    let nonce = Uuid::new_v4().simple().to_string();
    let policy = HeaderValue::try_from(policy(&nonce))
        .map_err(|_| Error::Unavailable("the page cannot be sent".to_owned()))?;
    let text = |text: &'static str| HeaderValue::from_static(text);
    let headers = [
        (header::CONTENT_TYPE, text("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, text("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, text("nosniff")),
        (header::X_FRAME_OPTIONS, text("DENY")),
        (header::REFERRER_POLICY, text("no-referrer")),
    ];
    Ok((headers, page(&nonce)))
}

/// What a browser may do with the page: run what carries the number, and ask this server.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

fn page(nonce: &str) -> String {
    PAGE.replace("{NONCE}", nonce).replace("{STYLE}", STYLE).replace("{SCRIPT}", SCRIPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_complete_in_itself() {
        let page = page("abc");
        assert!(!page.contains("{NONCE}") && !page.contains("{STYLE}"));
        assert!(!page.contains("{SCRIPT}"), "a placeholder is left");
        assert_eq!(page.matches("nonce=\"abc\"").count(), 2);
        for foreign in ["http://", "https://", "@import", "src=", "style="] {
            assert!(!page.contains(foreign), "the page has {foreign}");
        }
        assert!(!STYLE.contains("url("), "the style loads something");
        for unsafe_sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"] {
            assert!(!SCRIPT.contains(unsafe_sink), "the script uses {unsafe_sink}");
        }
        // What ends a script or a style early would end it in the page.
        assert!(!SCRIPT.contains("</script") && !STYLE.contains("</style"));
    }
}
