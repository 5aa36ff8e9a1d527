//! The pages in the browser: what `web/` was built into, embedded in release builds and read from disk in others.
//!
//! A Rust build needs no Node: without `web/dist` every page says how to build it. Nothing is loaded from elsewhere.

use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};
use rust_embed::RustEmbed;

use super::{context::Context, error::ApiError};

/// Only our own files run, style and connect; nobody may frame the page or send its forms elsewhere. Styles may stand inline:
/// the canvas places its nodes so.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; \
                      font-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Addresses that the application in the browser draws; it finds its page by the address.
const PAGES: [&str; 14] = [
    "/",
    "/setup",
    "/login",
    "/live",
    "/workflows",
    "/workflows/{id}",
    "/templates",
    "/runs",
    "/runs/{id}",
    "/leads",
    "/leads/{id}",
    "/tasks",
    "/messages",
    "/settings",
];

const INDEX: &str = "index.html";
const HTML: &str = "text/html; charset=utf-8";
/// Names of assets carry a hash of their content.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// The page belongs to the program that serves it; another version must not meet it in a cache.
const ASK_AGAIN: &str = "no-cache";

const NOT_BUILT: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>patchcord</title><meta name="viewport" content="width=device-width">
<style>body{font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}</style></head>
<body><main><h1>The pages are not built</h1>
<p>The server runs; its API is described at <a href="/docs">/docs</a>. Build the pages with Node 20 or newer:</p>
<pre>scripts/build-web</pre>
<p>then load this page again. A release build takes them in when it is compiled, so compile it again after that.</p>
</main></body></html>
"#;

#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Built;

/// The pages and their parts.
pub fn router() -> Router<Context> {
    PAGES
        .into_iter()
        .fold(Router::new(), |router, path| router.route(path, get(page)))
        .route("/assets/{*path}", get(asset))
}

async fn page() -> Response {
    match Built::get(INDEX) {
        Some(file) => answer(HTML, ASK_AGAIN, file.data.into_owned()),
        None => answer(HTML, ASK_AGAIN, NOT_BUILT.into()),
    }
}

async fn asset(Path(path): Path<String>) -> Result<Response, ApiError> {
    let file = Built::get(&format!("assets/{path}")).ok_or(ApiError::NoRoute)?;
    Ok(answer(kind_of(&path), FOREVER, file.data.into_owned()))
}

/// The media type of an asset, by its ending: the kinds that the build makes.
fn kind_of(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("ttf") => "font/ttf",
        _ => "application/octet-stream",
    }
}

fn answer(kind: &'static str, caching: &'static str, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static(caching)),
    ];
    (headers, body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_styles_say_what_they_are() {
        assert_eq!(kind_of("index-abc.js"), "text/javascript; charset=utf-8");
        assert_eq!(kind_of("a/b.css"), "text/css; charset=utf-8");
        assert_eq!(kind_of("none"), "application/octet-stream");
    }

    #[test]
    fn the_page_without_a_build_loads_nothing() {
        for forbidden in ["<script", "https://", "src="] {
            assert!(!NOT_BUILT.contains(forbidden), "{forbidden}");
        }
    }
}
